"""A provider's page that is reached by POST: our own page has the customer's browser post the form there.

It posts by itself, and by its button where scripts are off. Its policy allows that one script, and the form's targets.
"""

from __future__ import annotations

import base64
import hashlib
import html

from aiohttp import web

from gateway.core.facts import Busy, Form, Recorded
from gateway.core.payment import State
from gateway.core.urls import origin_of
from gateway.drivers.settings import AccountEntry
from gateway.web.app_keys import GATEWAY
from gateway.web.customer_return import VISITS, redirect_customer
from gateway.web.routing import allow

SCRIPT = "HTMLFormElement.prototype.submit.call(document.forms[0])"
"""Not ``form.submit()``: a field of that name would hide it."""

WAITING = frozenset({State.CREATED, State.AWAITING_CUSTOMER})
"""States in which the customer has not paid yet."""

_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Payment</title></head>
<body><form method="post" action="{url}">{fields}<p><button>Continue to payment</button></p></form>
<script>{script}</script></body>
</html>
"""


async def show_form(
    request: web.Request, entry: AccountEntry, payment_id: str, busy: Busy | None
) -> web.StreamResponse:
    """The page of a payment's form, while it can be paid; else the customer is sent on as from the provider's page."""
    if request.method not in VISITS:
        return web.Response(status=405, headers=allow(",".join(VISITS)))
    found = await request[GATEWAY].store.payment(entry.tenant, payment_id)
    form = None if found is None or found.payment.state not in WAITING else found.payment.form
    if form is None or busy is not None:
        return await redirect_customer(request, entry, payment_id, "return", busy or Recorded())
    return form_page(form)


def form_page(form: Form) -> web.Response:
    """The page that posts a form, every value as it is."""
    fields = "".join([_hidden(name, value) for name, value in form.fields.items()])
    page = _PAGE.format(url=html.escape(form.url), fields=fields, script=SCRIPT)
    targets = " ".join((origin_of(form.url) or "'none'", *form.origins))  # Chromium holds redirects to them, too
    policy = (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {targets};"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
