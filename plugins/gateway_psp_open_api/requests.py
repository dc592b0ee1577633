"""API-1, the request for a payment page: its members, how amounts are written, its sign. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.config import JSON, TOKEN_HEADER, PspConfig, prepared

FIELDS: Mapping[str, gateway.FieldRule] = {
    "merchant_id": gateway.FieldRule(mandatory=True, locked=True, meaning="id of the integration"),
    "order_no": gateway.FieldRule(mandatory=True, locked=True, meaning="our payment id"),
    "amount": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="major units"),
    "currency": gateway.FieldRule(mandatory=True, locked=True, meaning="code such as USD"),
    "sign": gateway.FieldRule(mandatory=True, locked=True, meaning="signature over all other members"),
    "user_id": gateway.FieldRule(source="customer.id", meaning="the customer's id"),
    "user_name": gateway.FieldRule(source="customer.name", meaning="the customer's name"),
    "email": gateway.FieldRule(source="customer.email", meaning="e-mail address"),
    "phone": gateway.FieldRule(source="customer.phone", meaning="telephone number"),
    "nationality": gateway.FieldRule(source="customer.nationality", meaning="two-letter country code"),
    "language": gateway.FieldRule(source="customer.language", meaning="portal language such as en-us"),
    "device": gateway.FieldRule(source="customer.device", meaning="mobile or pc"),
}


def payment_page(command: gateway.CreatePayment, account: gateway.Account) -> gateway.HttpRequest:
    """Return API-1. Raises ``FieldProblem`` for an amount or a text that the protocol cannot carry."""
    config: PspConfig = account.config
    merchant_id, token = prepared(account).merchant_ids[0], prepared(account).tokens[0]
    members: dict[str, Any] = _tenant_members(command, account.fields)
    own = {
        "merchant_id": merchant_id,
        "order_no": command.payment_id,
        "amount": _wire_amount(command.money, as_text=config.amount_as_text),
        "currency": command.money.currency,
    }
    members |= {account.fields.key(name): value for name, value in own.items()}
    return signed(f"{config.app_url.rstrip('/')}/pay/url", members, token, account.fields.key("sign"))


def signed(url: str, body: Mapping[str, Any], token: gateway.Secret, sign_key: str = "sign") -> gateway.HttpRequest:
    """Return a request as both directions of the protocol send it: the token in a header, the sign in the body."""
    sign = signature.sign(signature.canonical(body, sign_key=sign_key), token)
    headers = (JSON, (TOKEN_HEADER, token.reveal()))
    return gateway.HttpRequest(method="POST", url=url, headers=headers, body=gateway.dumps({**body, sign_key: sign}))


def _tenant_members(command: gateway.CreatePayment, fields: gateway.FieldMap) -> dict[str, str]:
    """Return the members the tenant fills. Raises ``FieldProblem``, also for a text that signs like several (S21)."""
    members = gateway.fill(fields, command)
    problem = 'must not hold "&name=": it would be read as a member'
    problems = [(member.field.path, problem) for member in members if signature.ambiguous(member.value)]
    if problems:
        raise gateway.FieldProblem(problems)
    return {member.key: member.value for member in members}


def _wire_amount(money: gateway.Money, *, as_text: bool) -> gateway.JsonNumber | str:
    """Return the amount as a JSON number that every reader prints alike (S3); beyond that range as text, if allowed."""
    digits = money.shortest().replace(".", "").strip("0")
    if Decimal("0.0001") <= money.amount < Decimal("1e16") and len(digits) <= 15:
        return gateway.JsonNumber(money.shortest())
    if as_text and money.amount > 0:
        return money.shortest()
    raise gateway.FieldProblem.at("$.amount", "must be 0.0001 to below 1e16 with at most 15 significant digits")
