"""The customer's id in API-1: optional in the description, but required by some bridges, who know customers by it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import gateway

NAME = "user_id"
SWITCHED_OFF = "is switched off: some bridges refuse payments without it"
NOT_REQUIRED = "is not required: some bridges refuse payments without it (required: true asks tenants for customer.id)"
HINT = " (the request had no user_id, which some bridges require: {remedy})"
_A_USER = re.compile(r"user|customer|client|payer", re.IGNORECASE)


def advice(fields: gateway.FieldMap) -> Mapping[str, str]:
    """Return what to change in an account's ``fields``, if anything."""
    if NAME in fields.off:
        return {f"fields.{NAME}": SWITCHED_OFF}
    field = next(field for field in fields.fields if field.name == NAME)
    return {} if field.required or field.value is not None else {f"fields.{NAME}": NOT_REQUIRED}


def hint_for(message: str, command: gateway.Command, fields: gateway.FieldMap) -> str:
    """Return what the tenant should add to a create that a bridge refused; empty unless ``message`` mentions a user."""
    if not isinstance(command, gateway.CreatePayment) or _A_USER.search(message) is None:
        return ""
    if NAME in fields.off:
        return HINT.format(remedy="it is switched off for this account")
    is_sent = any(member.field.name == NAME for member in gateway.fill(fields, command))
    return "" if is_sent else HINT.format(remedy="give customer.id")
