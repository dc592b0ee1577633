"""API-1, the request for a payment page: its members, how amounts are written, its sign. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.config import prepared

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


LEAST, BEYOND = Decimal("0.0001"), Decimal("1e16")
"""The amounts that every reader prints alike as a JSON number of at most 15 digits (S3)."""


def payment_page(command: gateway.CreatePayment, account: gateway.Account) -> gateway.HttpRequest:
    """Return API-1. Raises ``FieldProblem`` for an amount or a text that the protocol cannot carry."""
    ours, key, config = prepared(account), account.fields.key, account.config
    texts = _tenant_members(command, account.fields)
    texts[key("merchant_id")] = ours.merchant_ids[0]
    texts[key("order_no")] = command.payment_id
    texts[key("amount")] = amount = command.money.shortest()
    texts[key("currency")] = command.money.currency
    # StringA: wire keys are ASCII, no text is empty, and such an amount is printed as it is written.
    string_a = "&".join([f"{name}={texts[name]}" for name in sorted(texts)])
    body = {
        **texts,
        key("amount"): _wire_amount(command.money, amount, as_text=config.amount_as_text),
        key("sign"): signature.sign(string_a, ours.tokens[0]),
    }
    return gateway.HttpRequest(method="POST", url=ours.pay_url, headers=ours.headers, body=gateway.dumps(body))


def signed_text(request: gateway.HttpRequest, account: gateway.Account) -> str:
    """Return StringA of API-1, read from its body as a bridge would, and stars for the token that follows."""
    body, sign_key = gateway.loads(request.body), account.fields.key("sign")
    return signature.canonical(body, sign_key=sign_key, form=signature.Form.LITERAL) + "***"


def _tenant_members(command: gateway.CreatePayment, fields: gateway.FieldMap) -> dict[str, str]:
    """Return the members the tenant fills. Raises ``FieldProblem``, also for a text that signs like several (S21)."""
    members = gateway.fill(fields, command)
    problem = 'must not hold "&name=": it would be read as a member'
    doubtful = [member for member in members if "&" in member.value]
    problems = [(one.field.path_in(command), problem) for one in doubtful if signature.ambiguous(one.value)]
    if problems:
        raise gateway.FieldProblem(problems)
    return {member.key: member.value for member in members}


def _wire_amount(money: gateway.Money, text: str, *, as_text: bool) -> gateway.JsonNumber | str:
    """Return the amount as a JSON number that every reader prints alike (S3); beyond that range as text, if allowed."""
    if LEAST <= money.amount < BEYOND and len(text.replace(".", "").strip("0")) <= 15:
        return gateway.JsonNumber(text)
    if as_text and money.amount > 0:
        return text
    raise gateway.FieldProblem.at("$.amount", "must be 0.0001 to below 1e16 with at most 15 significant digits")
