"""Every error of the gateway, whose fault it is, and whether trying again is safe.

GatewayError
├── TenantError         their request; 4xx (507: no room for it); do not retry unchanged
├── Unavailable         ours; 503; safe to retry, nothing was done
│   ├── Conflict        another writer was first; the flow reads again and decides again
│   └── InDoubt         whether it was done is not known yet
├── ProviderError       a login or lookup ahead of the operation failed; 502
│   ├── NotSent         no byte reached the provider; safe to send again as a new operation
│   └── OutcomeUnknown  it may have happened; never resubmit, ask or wait for the callback
├── CallbackRejected    the callback is not believed; its sender learns only the reason its protocol names
└── SettingsError       at a start or reload, naming file, tenant and key of every problem
    └── StillNeeded     what payments that are still open refer to is gone from the settings

Nothing here may be imported from a higher layer.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MOST_NAMED = 50
"""Members that one error names."""

_STEP = re.compile(r"[.\[]")


class GatewayError(Exception):
    """The root: catch it only where errors become answers."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a request that cannot be used."""

    field: Annotated[
        str, Meta(description="A JSON path such as `$.order.items[0].price`, or the name of a query parameter.")
    ]
    message: Annotated[str, Meta(description="What is wrong with it.")]


class Problem(msgspec.Struct, frozen=True):
    """What one error code means to a tenant: HTTP status and a title.

    ``field``: the member that an error with this code is about, where it names none itself; every 422 has one.
    """

    status: int
    title: str
    field: str | None = None


PROBLEMS: dict[str, Problem] = {
    "malformed_json": Problem(400, "The body is not readable JSON"),
    "idempotency_key_required": Problem(400, "This request needs an Idempotency-Key header"),
    "invalid_idempotency_key": Problem(400, "The Idempotency-Key is not 8 to 128 of A-Z a-z 0-9 _ -"),
    "unauthorized": Problem(401, "The bearer key is missing, unknown or expired"),
    "forbidden": Problem(403, "The operator's key may not do this"),
    "not_found": Problem(404, "There is no such route, or this tenant has no such resource"),
    "method_not_allowed": Problem(405, "This path exists, but not with this method"),
    "request_timeout": Problem(408, "The body did not arrive completely and in time; nothing was done"),
    "request_in_progress": Problem(409, "The first request under this key has no answer yet"),
    "duplicate_reference": Problem(409, "A live payment already has this merchant_reference"),
    "operation_outcome_pending": Problem(409, "An earlier operation of this payment has no outcome yet"),
    "invalid_state": Problem(409, "The payment's state does not allow this"),
    "increase_over_limit": Problem(409, "The amount would rise above the provider's limit"),
    "under_review": Problem(409, "The payment is under review"),
    "body_too_large": Problem(413, "The body is larger than 64 KiB"),
    "unsupported_media_type": Problem(415, "The body must be application/json"),
    "validation_failed": Problem(422, "The request has invalid members", "$"),
    "idempotency_key_reused": Problem(422, "The Idempotency-Key was used for another request", "Idempotency-Key"),
    "unsupported_by_provider": Problem(422, "The provider of this payment does not support this", "$"),
    "unknown_account": Problem(422, "The tenant has no such account", "$.account"),
    "no_route": Problem(422, "No account was named and none can be chosen", "$.account"),
    "amount_too_large": Problem(422, "The amount exceeds what is left", "$.amount"),
    "currency_not_supported": Problem(422, "The currency is not supported here", "$.currency"),
    "deposit_method_not_found": Problem(422, "The tenant has no such deposit method", "$.deposit_method"),
    "card_data_refused": Problem(422, "The request seems to hold a card number", "$"),
    "rate_limited": Problem(429, "Too many requests"),
    "internal_error": Problem(500, "An internal error of the gateway; its log has the cause"),
    "provider_error": Problem(502, "A request that must be made to the provider first failed; nothing was stored"),
    "store_unavailable": Problem(503, "The store cannot be used just now; this request did nothing"),
    "store_in_doubt": Problem(503, "It is not known yet whether the request was stored"),
    "low_disk": Problem(503, "The store's disk is almost full; nothing was done"),
    "shutting_down": Problem(503, "The gateway is stopping"),
    "storage_budget_exceeded": Problem(507, "The tenant's storage budget is used up"),
}
"""Every ``code`` a tenant can receive (HTTP API, errors)."""


class TenantError(GatewayError):
    """A tenant's request is refused. ``code`` is a key of ``PROBLEMS``; ``extra`` are further members of the answer."""

    def __init__(self, code: str, detail: str, *, errors: Sequence[FieldError] = (), **extra: Any) -> None:
        super().__init__(detail)
        field = PROBLEMS[code].field
        self.code = code
        self.detail = detail
        self.errors = tuple(errors) or ((FieldError(field=field, message=detail),) if field is not None else ())
        self.extra = extra


def invalid(*problems: tuple[str, str], code: str = "validation_failed") -> TenantError:
    """Make an error that names members of a request, from (field, message) pairs. Of very many only the first."""
    found = [FieldError(field=field, message=message) for field, message in problems[:MOST_NAMED]]
    if len(problems) > MOST_NAMED:
        found.append(FieldError(field="$", message=f"and {len(problems) - MOST_NAMED} more problems"))
    return TenantError(code, "; ".join(f"{e.field}: {e.message}" for e in found), errors=found)


def merged(*refusals: TenantError) -> TenantError:
    """Merge errors into one, with their common code or else ``validation_failed``. A member's first problem stays.

    A problem is also left out where an earlier one concerns a part of its member, or the object around it: it may
    only follow from that one.
    """
    kept: list[TenantError] = []
    said: set[str] = set()
    around: set[str] = set()
    for refusal in refusals:
        new = [one for one in refusal.errors if one.field not in around and said.isdisjoint(_steps(one.field))]
        if new:
            rest = invalid(*((one.field, one.message) for one in new), code=refusal.code)
            kept.append(refusal if len(new) == len(refusal.errors) else rest)
        said.update(one.field for one in new)
        around.update(*(_steps(one.field) for one in new))
    if len(kept) == 1:
        return kept[0]
    codes = {refusal.code for refusal in kept}
    problems = ((one.field, one.message) for refusal in kept for one in refusal.errors)
    return invalid(*problems, code=codes.pop() if len(codes) == 1 else "validation_failed")


def refusals_of(*checks: Callable[[], object]) -> list[TenantError]:
    """Run every check and return what they raise."""
    found = []
    for check in checks:
        try:
            check()
        except TenantError as refusal:
            found.append(refusal)
    return found


def _steps(path: str) -> list[str]:
    """A path and those of what holds it, without the whole: ``$.order.items[0]``, ``$.order.items``, ``$.order``."""
    return [path, *(path[: step.start()] for step in _STEP.finditer(path) if step.start() > 1)]


class Unavailable(GatewayError):
    """The store could not be read or written. Nothing was done; ``code`` is a key of ``PROBLEMS``."""

    code = "store_unavailable"


class Conflict(Unavailable):
    """A unit of work met another writer's: ``on`` names the expectation that did not hold. Nothing of it was kept."""

    def __init__(self, on: str) -> None:
        super().__init__(f"conflict on {on}")
        self.on = on


class InDoubt(Unavailable):
    """The connection was lost while a unit of work was written. Only who answers a request is told so.

    ``decided``: a future. It ends as soon as it is known, with why it was not written, or None where it was; for work
    that a request waits for, with that work.
    """

    code = "store_in_doubt"

    def __init__(self, decided: Awaitable[object]) -> None:
        super().__init__("it is not known whether the request was stored yet")
        self.decided = decided


class LowDisk(Unavailable):
    """The store's disk is almost full: nothing new is begun, so that what was begun can be finished."""

    code = "low_disk"


class TenantMoves(Unavailable):
    """A tenant is being moved to another store: nothing is begun for it until it is there."""


class ShuttingDown(Unavailable):
    """New work is refused while the gateway drains."""

    code = "shutting_down"


class ProviderError(GatewayError):
    """The provider could not be asked, or its answer could not be used.

    ``retry_after``: how many seconds it asked us to wait, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotSent(ProviderError):
    """The provider certainly did nothing. ``connection``: no connection was made; ``why``: the cause, for the log."""

    def __init__(self, message: str, *, connection: bool, why: str = "") -> None:
        super().__init__(message)
        self.connection = connection
        self.why = why

    @property
    def for_tenants(self) -> str:
        """What a tenant reads: nothing of the operators' network and settings."""
        return "no connection to the provider could be made" if self.connection else "the request could not be sent"


class OutcomeUnknown(ProviderError):
    """The request may have had its effect: silence, or an answer nobody can read."""


class Reason(enum.StrEnum):
    """Why a callback is refused: a closed list, worded for the provider by its plugin's ``answer``."""

    METHOD = "method"
    MEDIA_TYPE = "media_type"
    TOO_LARGE = "too_large"
    UNAUTHENTIC = "unauthentic"
    WRONG_ACCOUNT = "wrong_account"
    NO_DEPOSIT_METHOD = "no_deposit_method"
    NOT_FOUND = "not_found"
    STATUS = "status"
    REPEATED_FINAL = "repeated_final"
    IN_PROGRESS = "in_progress"
    AMOUNT = "amount"
    CURRENCY = "currency"
    TIME = "time"


class CallbackRejected(GatewayError):
    """A callback is not believed. ``detail`` is for operators and names no secret and no expected signature.

    ``claims``: the payment that it names, for people who look for it; nothing is believed of it.
    """

    def __init__(self, reason: Reason, detail: str = "", *, claims: str | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail
        self.claims = claims


class SettingsError(GatewayError):
    """The settings cannot be used. ``problems`` are complete lines, one per mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StillNeeded(SettingsError):
    """The settings lack accounts or deposit methods that open payments need."""


def place_of(error: BaseException) -> str:
    """Where it was raised, as ``tinypay.py:71``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace is not None else ""


def fault_of(error: BaseException) -> str:
    """An error of a plugin without its text, which may hold a secret: ``KeyError in tinypay.py:71``."""
    return f"{type(error).__name__} in {place_of(error)}"
