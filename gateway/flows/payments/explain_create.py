"""Explain a create: what its account would send to the provider, and why. Nothing is stored or sent."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import replace

from gateway.core import strictjson
from gateway.core.commands import CreatePayment, Kind
from gateway.core.create_explanation import CreateExplanation, left_out, sent_members
from gateway.core.curl import curl_command
from gateway.core.errors import invalid
from gateway.core.facts import Observation
from gateway.core.field_mapping import nested_on_wire
from gateway.core.request_bodies import CreateBody
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, media_type
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.flows.payments.create import new_payment
from gateway.flows.payments.create_validation import check_create
from gateway.flows.payments.intent import create_command, new_operation
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway
from gateway.provider import Session

PAYMENT_ID, OPERATION_ID = "pay_" + "0" * 32, "op_" + "0" * 32
"""The ids that an explanation shows where a payment has its own."""

SESSION = Session(token=Secret("$SESSION"), expires_in=3600)
"""In place of a login, which would ask the provider."""

FORM = "application/x-www-form-urlencoded"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """The request that a create would send, or have the customer's browser post, and what it was built from."""

    entry: AccountEntry
    command: CreatePayment
    request: HttpRequest


def of_account(body: CreateBody, account: str) -> CreateBody:
    """A create that goes to one account. Raises ``validation_failed`` where it names another one."""
    if body.account not in (None, account):
        raise invalid(("$.account", f'is not "{account}", which this explains: leave it out'))
    return replace(body, account=account)


def plan(gw: Gateway, tenant: Tenant, body: CreateBody) -> Planned:
    """Build what a create would send. Raises what the create would raise, but for what only the store knows."""
    route, money = check_create(gw, tenant, body, "")
    entry = route.entry
    payment = replace(new_payment(gw, entry, body, money), id=PAYMENT_ID)
    operation = replace(new_operation(gw, payment, Kind.CREATE, at=payment.created_at), id=OPERATION_ID)
    command = create_command(gw, entry, payment, operation)
    account = replace(entry.account, session=SESSION) if entry.logs_in else entry.account
    made = calls.build_create(gw, entry, account, command)
    return Planned(entry=entry, command=command, request=_posted(made) if isinstance(made, Observation) else made)


def _posted(made: Observation) -> HttpRequest:
    """What the customer's browser posts where the provider is not called; nothing where there is no form."""
    return HttpRequest(method="", url="") if made.form is None else made.form.request


def explain(gw: Gateway, planned: Planned) -> CreateExplanation:
    """Say where each member of a request comes from, what is left out, and what is signed; secrets are masked."""
    entry, command, request = planned.entry, planned.command, planned.request
    mask, fields = gw.masks.of(entry.tenant).over, entry.account.fields
    nested = nested_on_wire(entry.provider.fields, fields)
    members = sent_members(body_of(request), fields, command, entry.rule_of, mask, nested)
    hidden = {
        name
        for name, value in request.headers
        if name.lower() in map(str.lower, entry.provider.secret_headers) or mask(value) != value
    }
    masked = replace(request, url=mask(request.url), body=mask(request.body.decode(errors="replace")).encode())
    return CreateExplanation(
        members=members,
        left_out=left_out(members, command, fields, entry.rule_of, nested),
        body=masked.body.decode(),
        signed=calls.signed_text(gw, entry, request),
        curl=curl_command(masked, hidden) if masked.url else "",
    )


def body_of(request: HttpRequest) -> object:
    """A request's body as data: JSON, or a form's members; nothing where it is neither."""
    if media_type(request.headers) == FORM:
        return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    try:
        return strictjson.loads(request.body)
    except strictjson.NotStrictJson:
        return {}
