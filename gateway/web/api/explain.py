"""Tenants' route for the explanation of a create: what an account would send, and why."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.core.create_explanation import CreateExplanation, LeftOut, SentMember
from gateway.core.errors import TenantError
from gateway.core.field_values import Origin
from gateway.core.request_bodies import CreateBody
from gateway.flows.payments import explain_create
from gateway.flows.payments.create_validation import content_refusals
from gateway.web.api import examples
from gateway.web.query_parameters import MAP, parameters
from gateway.web.request import TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


async def explain(call: TenantCall) -> Reply:
    """``POST /v1/accounts/{name}/explain``."""
    if call.id not in call.tenant.accounts:
        raise TenantError("not_found", "there is no account of this name under this tenant; GET /v1/accounts has them")
    call.note_account(call.id)
    body = call.body(CreateBody, partial(content_refusals, call.gw, call.tenant, idempotency_key=""))
    planned = explain_create.plan(call.gw, call.tenant, explain_create.of_account(body, call.id))
    async with call.turn:  # in a thread: the members of the largest order take tens of milliseconds
        return Reply(view=await asyncio.to_thread(explain_create.explain, call.gw, planned))


_BODY = '{"user_id":"C-88","lang":"EN","order_no":"pay_00000000000000000000000000000000","sum":162.48}'
_EXPLANATION = CreateExplanation(
    members=[
        SentMember(key="user_id", value="C-88", field="user_id", origin=Origin.PAYMENT, rule=None),
        SentMember(key="lang", value="EN", field="language", origin=Origin.PAYMENT, rule="settings.yaml:111"),
        SentMember(
            key="order_no", value=explain_create.PAYMENT_ID, field="order_no", origin=Origin.PROVIDER, rule=None
        ),
        SentMember(key="sum", value=162.48, field="amount", origin=Origin.PROVIDER, rule="settings.yaml:109"),
    ],
    left_out=[LeftOut(field="nationality", why="is switched off", rule="settings.yaml:110")],
    body=_BODY,
    signed=f"lang=EN&order_no={explain_create.PAYMENT_ID}&sum=162.48&user_id=C-88***",
    curl=f"curl -i -X POST https://psp.example/pay/url -H \"crm-pay-token: $CRM_PAY_TOKEN\" --data-raw '{_BODY}'",
)

ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="POST",
        path="/v1/accounts/{name}/explain",
        handler=explain,
        body=CreateBody,
        query=parameters(map=MAP),
        name="explainCreate",
        tag="Accounts",
        summary="Explain what a create would send",
        text="What the account would send to its provider for this body: each member with its origin and the rule in"
        " the settings that made it, and what is left out and why. Nothing is stored or sent.",
        sends=examples.CREATE_BY_METHOD,
        answers={200: _EXPLANATION},
        codes=(
            "not_found",
            "unknown_account",
            "currency_not_supported",
            "deposit_method_not_found",
            "card_data_refused",
            "provider_error",
        ),
    ),
)
"""The route of explanations."""
