"""The tables of the reference, declared as SQLAlchemy's "ORM Quick Start" shows: the rows that the gateway stores.

``CREATE TABLE`` is what SQLAlchemy makes of it; WAL and ``synchronous=FULL`` are set on each connection, by the event
that the page on SQLite's dialect shows for pragmas.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, ForeignKey, Index, Numeric, UniqueConstraint, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A random id."""
    return uuid4().hex


class Base(DeclarativeBase):
    """All tables."""


class Payment(Base):
    """A payment; the state is the one that was last proved."""

    __tablename__ = "payments"
    __table_args__ = (Index("payments_by_reference", "tenant", "merchant_reference"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str] = mapped_column(index=True)
    merchant_reference: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Numeric(18, 2))
    currency: Mapped[str]
    state: Mapped[str]
    version: Mapped[int]
    provider_reference: Mapped[str | None]
    redirect_url: Mapped[str | None]
    customer: Mapped[dict[str, Any]] = mapped_column(JSON)
    extra: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Operation(Base):
    """A call to the provider: committed as ``sending`` before it, with its outcome after it."""

    __tablename__ = "operations"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    kind: Mapped[str]
    status: Mapped[str]
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class IdempotencyKey(Base):
    """A tenant's key, and the answer that is repeated."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"))
    answer_status: Mapped[int | None]
    answer: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Event(Base):
    """A version of a payment."""

    __tablename__ = "events"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    version: Mapped[int]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Webhook(Base):
    """A notification that waits to be sent."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    event_id: Mapped[str] = mapped_column(ForeignKey("events.id"))
    tenant: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending", index=True)
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Callback(Base):
    """A callback as it came; the provider's event is recorded once."""

    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("tenant", "event_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str]
    event_id: Mapped[str]
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    body: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(default=now)


def set_pragmas(engine: AsyncEngine) -> None:
    """Make every connection durable, and let it wait for the lock of another."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
