"""A customer comes back from the provider's page: wait shortly for news, then redirect the browser to the tenant."""

from __future__ import annotations

import html
from urllib.parse import urlencode

from aiohttp import web

from gateway.core.errors import Reason
from gateway.core.facts import Busy, Refused, Verdict
from gateway.core.urls import origin_of
from gateway.drivers.settings import AccountEntry
from gateway.flows.payments.lookup import wait_for_hint
from gateway.web.app_keys import GATEWAY, LIMITS, RETURNS
from gateway.web.routing import allow

BROWSER_WAIT = 3.0
"""How long, in seconds, a browser waits for the lookup that its return caused."""

BROWSER = {"return": "return_url", "cancel": "cancel_url"}
"""The suffixes a browser comes back on, and the member of the payment that it is redirected to."""

VISITS = ("GET", "HEAD")
"""Methods with which a browser may always come back; with POST where the plugin does not refuse the method."""

TRY_AGAIN = "Something went wrong. Please reload this page."
DONE = "Thank you. You can close this page."


async def redirect_customer(
    request: web.Request, entry: AccountEntry, payment_id: str, suffix: str, verdict: Verdict
) -> web.StreamResponse:
    """Redirect to the tenant's page with the payment's state as it is known after a short wait for the lookup.

    Some providers have the browser post a form: whatever else ``verify`` made of it, the customer goes on.
    """
    gw = request[GATEWAY]
    methods = VISITS if verdict == Refused(reason=Reason.METHOD) else (*VISITS, "POST")
    if request.method not in methods:
        return web.Response(status=405, headers=allow(",".join(methods)))
    if isinstance(verdict, Busy):
        return _page(TRY_AGAIN, busy=verdict)
    await _wait_for_lookup(request, entry.tenant, payment_id)
    found = await gw.store.payment(entry.tenant, payment_id)
    if found is None:
        return web.Response(status=404)
    target = getattr(found.payment, BROWSER[suffix])
    if target is None or origin_of(target) is None:  # older stores may hold what no header can carry
        return _page(DONE)
    known = urlencode({"payment_id": payment_id, "state": found.payment.state})
    address, hash_mark, fragment = target.partition("#")
    joint = "&" if "?" in address else "?"
    return web.Response(status=303, headers={"Location": f"{address}{joint}{known}{hash_mark}{fragment}"})


async def _wait_for_lookup(request: web.Request, tenant: str, payment_id: str) -> None:
    """Wait shortly for the lookup of a payment: one browser per payment, and few of a tenant, as each takes a place."""
    gw, waiting, limits = request[GATEWAY], request.app[RETURNS], request.app[LIMITS]
    if payment_id in waiting or not limits.may_wait(tenant):
        return
    waiting.add(payment_id)
    limits.begin_work(tenant)
    try:
        await wait_for_hint(gw, tenant, payment_id, BROWSER_WAIT)
    finally:
        limits.end_work(tenant)
        waiting.discard(payment_id)


def _page(text: str, *, busy: Busy | None = None) -> web.Response:
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>Payment</title><p>{html.escape(text)}</p>"
    headers = {} if busy is None else {"Retry-After": str(busy.retry_after)}
    return web.Response(status=200 if busy is None else 503, text=body, content_type="text/html", headers=headers)
