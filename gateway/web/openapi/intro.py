"""What the document says about the whole API: introduction, groups, contact, license, authentication."""

from __future__ import annotations

DESCRIPTION = """\
Create payments, retrieve, capture, cancel and refund them, and receive a signed webhook for every change.

**Get a key.** The operators of this gateway give you one: `gateway keys new` makes it. Send it with every request:
`Authorization: Bearer gw_…`. On the page of this document, choose *Authorize* and enter it there.

**A first payment.** Open *Create a payment*, choose *Try it out* and *Execute*. The answer has a `redirect_url`, where
the customer pays. Then wait for the webhook, or retrieve the payment.

**Repeat safely.** Requests that change something take an `Idempotency-Key`. When you do not know the outcome of one,
send the same request with the same key again: it has a single effect, and the stored answer comes back with
`Idempotency-Replayed`. A 202 means that the outcome is not known *yet*; it is not a failure.

**Amounts** are decimal text in major units, such as `"1067.33"`. A JSON number is accepted too; answers hold text.

**Errors** are `application/problem+json`. Each has a `code` for programs, a `detail` for people, and a page behind its
`type` that says what to do: [`duplicate_reference`](problems/duplicate_reference).

**New values.** Treat an unknown state, type or code as a reason to retrieve the payment, not as an error.

More details, rules and examples are in `docs/api.md` in the gateway's repository. This page shows the document
[`openapi.json`](openapi.json).
"""

CONTACT = {"name": "The operators of this gateway"}
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

TAGS = {
    "Payments": "Create a payment and follow it until its money is captured, or it is canceled.",
    "Refunds": "Return money after the capture.",
    "Accounts": "What a front end needs before a payment: accounts, and the ways a customer can pay.",
    "Callbacks": "What providers sent to your accounts, whether it was accepted, and why.",
    "Webhooks": "What the gateway sends to your endpoint, the attempts to deliver it, and how to send it again.",
}
"""The groups of operations, in the order of the page."""

SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A tenant's key, such as `gw_k1_…`.",
}
