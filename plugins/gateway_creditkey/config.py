"""A tenant's account at Credit Key: the keys, and how this merchant wants its orders handled.

Credit Key's integrations team gives out both keys, different ones for each environment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

import gateway

BASES = {"staging": "https://staging.creditkey.com/app", "production": "https://www.creditkey.com/app"}


class CreditKeyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``. Exactly one of ``environment`` and ``base_url`` (the part before ``/ecomm``)."""

    public_key: gateway.Secret
    shared_secret: gateway.Secret
    environment: Literal["staging", "production"] | None = None
    base_url: str | None = None
    auth_in: Literal["body", "query"] = "body"
    charges_identity: Literal["enforce", "warn"] = "enforce"
    confirm_items_key: Literal["cart_items", "cart_contents"] = "cart_items"
    confirm_deadline: timedelta = timedelta(days=30)
    deadline_warning: timedelta = timedelta(days=3)
    expires_after: timedelta = timedelta(days=30)
    absence_proves: bool = False
    rep_flag_as_text: bool = False
    mode: Literal["link", "redirect"] = "link"
    contact_method: Literal["email", "phone"] = "email"
    notify_rep: bool = False
    rep_email: str | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for members that contradict each other or cannot be used."""
        if (self.environment is None) == (self.base_url is None):
            raise ValueError("exactly one of environment and base_url must be given")
        if self.base_url is not None and gateway.base_url(self.base_url, "base_url").endswith("/ecomm"):
            raise ValueError("base_url must end before /ecomm")
        if min(self.confirm_deadline, self.deadline_warning, self.expires_after) <= timedelta(0):
            raise ValueError("confirm_deadline, deadline_warning and expires_after must be positive")
        if self.deadline_warning >= self.confirm_deadline:
            raise ValueError("deadline_warning must be shorter than confirm_deadline")

    @property
    def base(self) -> str:
        """The address that ``/ecomm`` is appended to."""
        return BASES[self.environment] if self.environment else (self.base_url or "").rstrip("/")

    def is_link(self, checkout: gateway.Checkout) -> bool:
        """Whether Credit Key writes to the customer; if not, the merchant's page sends the browser to Credit Key."""
        return (checkout.mode or self.mode) == "link"
