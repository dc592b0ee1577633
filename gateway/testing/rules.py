"""The rules of the kit: their names, which never change, how severe a break is, and what to do about it.

``docs/conformance.md`` tells the story of each under its name.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.testing.report import Severity

PAGE = "docs/conformance.md"

_ERRORS: Mapping[str, str] = {
    # what it declares
    "declaration": "correct what the message names: the gateway refuses to load it",
    "account": "make the account's settings and the plugin fit each other: the gateway refuses to start with them",
    "secret-as-text": "declare the member as gateway.Secret, so that it is masked and read from env: or file:",
    "credentials-show-secret": "give secrets out of credentials() as gateway.Secret",
    # purity
    "clock": "take the time from command.at or callback.received_at",
    "randomness": "make ids of command.payment_id and command.operation_id, which are new for each",
    "environment": "read everything from account.config",
    "files": "read files while the module is imported, or not at all",
    "network": "leave every exchange to the gateway: return the request",
    "blocks": "never wait: every payment of every tenant waits with you",
    "slow": "compute once in prepare(account) what does not depend on the payment",
    # build
    "build-fails": "build every command of `commands`, or take it out of there",
    "build-returns": "return a gateway.HttpRequest as the message says",
    "not-deterministic": "make the request of the command and the account alone",
    "secret-in-url": "put secrets into a header or the body: URLs are written to access logs",
    "constant-key": "take the idempotency key from command.operation_id",
    "tenants-mixed": "keep nothing of an account outside prepare(account) and account.prepared",
    "field-not-sent": "send what gateway.fill(account.fields, command) returns, or drop the field's source",
    "extra-replaces": "merge fill()'s members first, then your own, so that yours win",
    "wire-amount": "send the amount as the provider counts it: money.minor_units(), money.text() or money.shortest()",
    "wrong-currency": "send command.money.currency with every amount",
    "amount-not-sent": "send command.money: a capture or a refund may be a part of the whole",
    "float-money": "use Decimal and money.minor_units(); never float",
    "login": "return a Session from the answer of a login, or raise gateway.ProviderError",
    # parse
    "parse-raises": "raise gateway.OutcomeUnknown for what cannot be read, and nothing else",
    "parse-returns": "return an Observation, Declined, Pending or, of a lookup, Absent, as the message says",
    "reply": "read the answer as the sample says, or correct the sample",
    "success-from-refusal": "look at response.status first: only a 2xx may be a success",
    "absent-without-proof": "return Absent only of a lookup that the provider answered with: no such payment",
    "page-as-answer": "read JSON with gateway.read_answer: an HTML page was written by a proxy",
    "cut-answer": "raise gateway.OutcomeUnknown for an answer that is not complete",
    "unknown-word": "map status words by a table, and every other word to Stage.UNKNOWN",
    "unknown-outcome": "map an operation's words by a table, and every other word to the outcome None",
    "copied-id": "report ids as the answer names them, never from the command",
    "swapped-id": "put the gateway's id into payment_id and the provider's into provider_reference",
    "inexact-amount": "read amounts with gateway.Amount or account.money(): exact, in the currency's digits",
    "secret-shown": "clean texts with gateway.clean_message(text, gateway.secrets_of(account.config))",
    # verify
    "verify-raises": "raise gateway.CallbackRejected for what is not proved, and nothing else",
    "verify-returns": "return an Event, a Hint, a tuple of them or None, as the message says",
    "callback": "read the callback as the sample says, or correct the sample",
    "forged-callback": "prove the whole body before anything is read of it: gateway.same(given, wanted)",
    "partial-signature": "compare the whole signature, given exactly once: gateway.same(given, wanted)",
    "other-tenant": "prove callbacks with the secret of this account",
    "sign-callback": "make the callback that the provider would send, or leave sign_callback out",
    "header-case": "find headers with gateway.header(headers, name), which ignores case",
    "reencoded": "verify the signature over callback.body, byte for byte",
    "event-id-changes": "take event_id from the callback: equal callbacks have equal ids",
    "event-id-shared": "make event_id of what tells two events apart, such as the provider's id of the event",
    # answer
    "answer-returns": "return a gateway.HttpResponse for every verdict",
    "busy-as-success": "answer Busy with 429 or 503: nothing was stored, so the provider must send again",
    # conform: in a real gateway
    "simulator": "offer a simulator by the hook gateway_simulators: see docs/providers.md#simulators",
    "story": "read in the replay file what was asked and answered at this step",
    "ledger": "read in the replay file which exchange moved the money that the other side does not know of",
    "sent-twice": "send the same idempotency key for the same operation_id, and never repeat a change by yourself",
    "recorded-as-error": "answer Recorded and Repeated with 2xx, or the provider sends the same for hours",
}

_WARNINGS: Mapping[str, str] = {
    "samples": "write what is missing into samples.json beside the module",
    "wire-unknown": "state in samples.json under `wire` how this amount is sent",
    "urls-swapped": "send command.urls.return_ and command.urls.cancel each as what it is",
    "pending-success": "leave the outcome None until the provider says how the operation ended",
    "delta-and-total": "report the operation, or the total; not both of one callback",
    "declined-page": "decline only by the provider's own JSON: gateway.read_refusal",
    "member-twice": "read JSON with gateway.loads or read_answer, which refuse a member that is written twice",
    "asks-for-repetition": "answer 2xx to what was proved and judged: a repetition is judged alike",
    "mutant": "let the simulator answer and call back as the provider does, so that such a fault shows",
    "unresolved": "answer lookups, or report the outcome by callback: see docs/providers.md#what-parse-reports",
    "busy-time": "keep one call below a millisecond: it runs on the event loop of all tenants",
}

FIXES: Mapping[str, str] = {**_ERRORS, **_WARNINGS}
"""How a break of each rule is put right."""


def severity_of(rule: str) -> Severity:
    """Whether a break is a fault, or something to look at."""
    return "error" if rule in _ERRORS else "warning"


def fix_of(rule: str) -> str:
    """What to do, and where the story is told."""
    return f"{FIXES[rule]} ({PAGE}#{rule})"
