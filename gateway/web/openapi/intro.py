"""What the document says about the whole API: its introduction, its groups, whom to ask."""

from __future__ import annotations

DESCRIPTION = """\
Create payments, read them, capture, cancel and refund them, and hear of every change by signed webhooks.

**Get a key.** The operators of this gateway give you one: `gateway keys new` makes it. Send it with every request:
`Authorization: Bearer gw_…`. On the page of this document, choose *Authorize* and enter it there.

**A first payment.** Open *Create a payment*, choose *Try it out* and *Execute*. The answer holds `redirect_url`, where
the customer pays. Then wait for the webhook, or read the payment.

**Repeat safely.** Requests that change something take an `Idempotency-Key`. When you do not know what became of one,
send the same request with the same key again: it is done once, and the stored answer comes back with
`Idempotency-Replayed`. A 202 means that the outcome is not known *yet*; it is not a failure.

**Amounts** are decimal text in major units, such as `"1067.33"`. A JSON number is taken too; answers always hold text.

**Errors** are `application/problem+json`. Each has a `code` for programs, a `detail` for people, and a page behind its
`type` that says what to do: [`duplicate_reference`](problems/duplicate_reference).

**New values.** Take a state, type or code that you do not know yet as a reason to read the payment, not as an error.

The same in more words, with rules and examples: `docs/api.md` in the gateway's repository. The document of this page:
[`openapi.json`](openapi.json).
"""

CONTACT = {"name": "The operators of this gateway"}
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

TAGS = {
    "Payments": "Create a payment and follow it until its money is captured, or it is given up.",
    "Refunds": "Return money after the capture.",
    "Accounts": "What a front end reads before a payment: accounts, and what customers can pay with.",
    "Callbacks": "What providers sent to your accounts, what was made of it, and why.",
    "Webhooks": "What the gateway sends to your endpoint, what became of it, and how to have it again.",
}
"""The groups of operations, in the order of the page."""

SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A tenant's key, such as `gw_k1_…`.",
}
