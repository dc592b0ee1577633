"""Request and answer, as Pydantic models: FastAPI's "Request Body" and "Response Model"."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field


class Customer(BaseModel):
    """Who pays."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    email: str
    phone: str
    nationality: str
    language: str
    device: str


class Create(BaseModel):
    """A new payment."""

    model_config = ConfigDict(extra="forbid")

    merchant_reference: str = Field(min_length=1, max_length=64)
    amount: Decimal = Field(gt=0, decimal_places=2)
    currency: str = Field(pattern="^[A-Z]{3}$")
    deposit_method: str
    customer: Customer
    metadata: dict[str, str] = {}


class PaymentView(BaseModel):
    """A payment as tenants and webhooks see it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    merchant_reference: str
    amount: Decimal
    currency: str
    state: str
    version: int
    redirect_url: str | None
    customer: Customer
    created_at: datetime
    updated_at: datetime


class CallbackBody(BaseModel):
    """What the PSP reports."""

    merchant_id: str
    order_no: str
    transaction_id: str
    amount: float
    currency: str
    time: int
    status: int
    sign: str
