"""What a plugin returned, checked member by member: types, sizes, and what may go over the wire.

Type annotations are not enforced, and a mistake that shows later would show when an operation is already stored. Each
value has a table: its members, and the check of each (``checks.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from gateway.core.checks import (
    Check,
    amount,
    every,
    first,
    instance,
    is_unicode,
    mapping,
    moment,
    optional,
    span,
    struct,
    text,
    type_name,
    union,
)
from gateway.core.commands import KIND_OF
from gateway.core.errors import Reason
from gateway.core.facts import (
    Absent,
    Ask,
    Declined,
    Event,
    Form,
    Hint,
    Observation,
    OperationOutcome,
    Pending,
    Stage,
    Succeeded,
)
from gateway.core.money import Money
from gateway.core.payment import State
from gateway.core.rules import Actual, Exact, Rules, Tolerance
from gateway.core.secret import Secret
from gateway.core.urls import origin_of, redirect_problem, target_problem
from gateway.core.wire import HttpRequest, HttpResponse

MAX_ID_CHARACTERS = 1024
"""Characters of an id that is stored or compared."""

MAX_TEXT_CHARACTERS = 64 * 1024
"""Characters of a provider's text before it is cut: no answer and no callback is longer."""

MAX_URL_CHARACTERS = 8192
MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request to a provider, and of our answer to a callback."""

MAX_MEMORY_PAIRS, MAX_MEMORY_NAME, MAX_MEMORY_VALUE = 10, 40, 500
MAX_INSTRUCTIONS, MAX_INSTRUCTION_NAME, MAX_INSTRUCTION_VALUE = 20, 64, 4096
MAX_FORM_FIELDS, MAX_FORM_NAME, MAX_FORM_VALUE, MAX_FORM_ORIGINS = 100, 200, 8192, 10
MAX_OPERATIONS = 100
"""Of what an observation may hold: pairs, and characters of their names and values."""

MAX_PARTS = 100
"""Of what one callback may report."""

MAX_HEADERS = 100
FRAMING = frozenset(
    ["connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]
)
"""Headers that say where a message ends or what happens to its connection: the gateway writes them."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,8192}")


class UnusableValue(ValueError):
    """A plugin returned what cannot be used. The text names the member and never shows its value."""


def checked(value: Any, check: Check) -> Any:
    """Return what passes its check. Raises ``UnusableValue``."""
    wrong = check(value)
    if wrong is not None:
        raise UnusableValue(f"{type_name(value)}: {wrong}")
    return value


def request(value: Any, *, development: bool) -> HttpRequest:
    """Return a request that can be sent as it stands; plain http is for development. Raises ``UnusableValue``."""
    made: HttpRequest = checked(value, REQUEST)
    if not development and not made.url.lower().startswith("https:"):
        raise UnusableValue("HttpRequest: url must be https (http needs server.development: true)")
    return made


def page_problem(url: str, *, development: bool) -> str | None:
    """What is wrong with the address of a page that customers are sent to. A fragment is allowed."""
    return redirect_problem(url, http="allowed" if development else "refused")


def _method(value: Any) -> str | None:
    is_token = isinstance(value, str) and _TOKEN.fullmatch(value) is not None
    return None if is_token else "must be an HTTP method such as POST"


def _url(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be str, not {type_name(value)}"
    if len(value) > MAX_URL_CHARACTERS:
        return f"has more than {MAX_URL_CHARACTERS} characters"
    return target_problem(value)


def _header(pair: Any) -> str | None:
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        return "must be pairs of name and value"
    name, value = pair
    if not isinstance(name, str) or _TOKEN.fullmatch(name) is None:
        return "has a name that is not a token"
    if name.lower() in FRAMING:
        return f"has {name.lower()}, which the gateway writes itself"
    if not isinstance(value, str):
        return f"has a value of {type_name(value)}; it must be str"
    is_line = _HEADER_VALUE.fullmatch(value) is not None and is_unicode(value)
    return None if is_line else "has a value with a line break or another control character, or too long a one"


_pairs = every(_header, (tuple, list))


def _headers(value: Any) -> str | None:
    if isinstance(value, tuple | list) and len(value) > MAX_HEADERS:
        return f"has more than {MAX_HEADERS}"
    return _pairs(value)


def _body(value: Any) -> str | None:
    if not isinstance(value, bytes):
        return f"must be bytes, not {type_name(value)}"
    return f"has more than {MAX_BODY_BYTES} bytes" if len(value) > MAX_BODY_BYTES else None


def _status(value: Any) -> str | None:
    is_status = isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599
    return None if is_status else "must be an HTTP status of 200 to 599"


def _window(value: Any) -> str | None:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return first(map(span, value)) if is_pair else "must be a pair of timedelta"


def _money(value: Any) -> str | None:
    return instance(Money)(value) or amount(value.amount)


def _state(value: Any) -> str | None:
    return None if isinstance(value, str) and value in set(State) else "must hold payment states only"


def _one_of_words(*words: str) -> Check:
    return lambda value: None if isinstance(value, str) and value in words else f"must be {' or '.join(words)}"


def _poll(value: Any) -> str | None:
    is_schedule = isinstance(value, tuple) and 1 <= len(value) <= 20
    return first(map(_pause, value)) if is_schedule else "must be a tuple of 1 to 20 timedelta"


def _pause(value: Any) -> str | None:
    return span(value) or (None if value >= timedelta(seconds=1) else "must be one second at least")


def _amount_rule(value: Any) -> str | None:
    if isinstance(value, Tolerance):
        return first(map(optional(amount), (value.absolute, value.permille)))
    return instance(Exact, Actual)(value)


def _pairs_of(name: int, value: int, most: int) -> Check:
    """A mapping of texts to texts, ``most`` at most, with names and values of these lengths."""
    each = mapping(text(name, least=1), text(value))

    def check(given: Any) -> str | None:
        if type(given) is dict and not given:  # as nearly all are
            return None
        return each(given) or (f"has more than {most} pairs" if len(given) > most else None)

    return check


def _origins(value: Any) -> str | None:
    wrong = every(text(MAX_URL_CHARACTERS), (tuple,))(value)
    if wrong is not None:
        return wrong
    are_origins = len(value) <= MAX_FORM_ORIGINS and all(origin_of(one) == one for one in value)
    return None if are_origins else f"must be at most {MAX_FORM_ORIGINS} origins such as https://pay.example"


def _field_values(value: Any) -> str | None:
    """Browsers replace line breaks and other control characters in what they post."""
    wrong = _fields(value)
    is_plain = wrong or not any(_CONTROL.search(text) for pair in value.items() for text in pair)
    return wrong or (None if is_plain else "has a control character, which browsers do not post as it is")


def _kind_of_change(value: Any) -> str | None:
    return None if value in KIND_OF else "must hold the gateway's changing commands only"


def _one_operation(value: Any) -> str | None:
    named = (value.operation_id, value.provider_id) if isinstance(value, OperationOutcome) else (None,)
    return _OPERATION(value) or ("needs operation_id or provider_id" if named == (None, None) else None)


def _operations(value: Any) -> str | None:
    wrong = every(_one_operation, (tuple,))(value)
    return wrong or (f"has more than {MAX_OPERATIONS}" if len(value) > MAX_OPERATIONS else None)


_DECLINED = {"code": text(MAX_TEXT_CHARACTERS), "message": text(MAX_TEXT_CHARACTERS)}
_OUTCOME = {
    "operation_id": optional(text(MAX_ID_CHARACTERS, least=1)),
    "provider_id": optional(text(MAX_ID_CHARACTERS, least=1)),
    "outcome": optional(union((Succeeded, struct(Succeeded, {})), (Declined, struct(Declined, _DECLINED)))),
}
_OPERATION = struct(OperationOutcome, _OUTCOME)
_fields = _pairs_of(MAX_FORM_NAME, MAX_FORM_VALUE, MAX_FORM_FIELDS)
_FORM = {
    "url": text(MAX_URL_CHARACTERS, least=1),  # where it leads is checked by ``page_problem``
    "fields": _field_values,
    "origins": _origins,
}
_MEMORY = _pairs_of(MAX_MEMORY_NAME, MAX_MEMORY_VALUE, MAX_MEMORY_PAIRS)
_OBSERVATION = {
    "stage": instance(Stage),
    "payment_id": optional(text(MAX_ID_CHARACTERS)),
    "provider_reference": optional(text(MAX_ID_CHARACTERS)),
    "merchant_reference": optional(text(MAX_ID_CHARACTERS)),
    "currency": optional(text(MAX_TEXT_CHARACTERS)),
    "amount": optional(amount),
    "captured": optional(amount),
    "refunded": optional(amount),
    "disputed": optional(amount),
    "form": optional(struct(Form, _FORM)),
    "instructions": _pairs_of(MAX_INSTRUCTION_NAME, MAX_INSTRUCTION_VALUE, MAX_INSTRUCTIONS),
    "memory": _MEMORY,
    "operations": _operations,
    "redirect_url": optional(text(MAX_TEXT_CHARACTERS)),  # where it leads is checked by ``page_problem``
    "customer_notified": optional(instance(bool)),
    "raw_status": optional(text(MAX_TEXT_CHARACTERS)),
    "unknown_status": optional(text(MAX_TEXT_CHARACTERS)),
}
_REQUEST = {"method": _method, "url": _url, "headers": _headers, "body": _body}
MEMBERS: Mapping[type[msgspec.Struct], Mapping[str, Check]] = {
    Observation: _OBSERVATION,
    Declined: _DECLINED,
    Succeeded: {},
    OperationOutcome: _OUTCOME,
    Form: _FORM,
    Pending: {"observation": struct(Observation, _OBSERVATION)},
    Absent: {"operation_id": optional(text(MAX_ID_CHARACTERS, least=1))},
    Hint: {
        "payment_id": optional(text(MAX_ID_CHARACTERS)),
        "provider_reference": optional(text(MAX_ID_CHARACTERS)),
        "merchant_reference": optional(text(MAX_ID_CHARACTERS)),
    },
    Event: {
        "event_id": text(MAX_ID_CHARACTERS, least=1),
        "observation": struct(Observation, _OBSERVATION),
        "operation": optional(_one_operation),
        "occurred_at": optional(moment),
        "problem": optional(instance(Reason)),
        "detail": optional(text(MAX_TEXT_CHARACTERS)),
    },
    HttpRequest: _REQUEST,
    Ask: {"request": struct(HttpRequest, _REQUEST), "memory": _MEMORY},
    HttpResponse: {"status": _status, "headers": _headers, "body": _body},
    Rules: {
        "currencies": optional(every(text(12, least=1))),
        "max_increase": optional(_money),
        "capture_deadline": optional(span),
        "deadline_warning": optional(span),
        "expires_after": optional(span),
        "cancel_from": every(_state),
        "partial_capture": instance(bool),
        "absence_proves": instance(bool),
        "amount": _amount_rule,
        "time_window": optional(_window),
        "deposit_method_required": instance(bool),
        "charges_identity": instance(bool),
        "read_before_capture": instance(bool),
        "messages": mapping(text(MAX_ID_CHARACTERS), text(MAX_TEXT_CHARACTERS)),
        "captures": _one_of_words("one", "many"),
        "capture_modes": every(_one_of_words("now", "later")),
        "poll": optional(_poll),
        "repeatable": every(_kind_of_change),
    },
}
"""Every member of every Struct that a plugin returns; a test keeps the table complete."""


def _one_of(*kinds: type[msgspec.Struct]) -> Check:
    return union(*((kind, struct(kind, MEMBERS[kind])) for kind in kinds))


def _create_outcome(value: Any) -> str | None:
    wrong = _OBSERVED(value)
    if wrong is not None:
        return wrong
    if value.stage not in (Stage.AWAITING_CUSTOMER, Stage.PROCESSING):
        return "stage must be awaiting_customer or processing where nothing is sent"
    is_moneyless = value.captured is value.refunded is value.disputed is None
    return None if is_moneyless else "captured, refunded and disputed must be None where nothing is sent"


REQUEST = _one_of(HttpRequest)
_OBSERVED = _one_of(Observation)
CREATE_OUTCOME = _create_outcome
ANSWER = _one_of(HttpResponse)
FACT = _one_of(Observation, Declined, Pending, Absent)
LOOKUP_FACT = _one_of(Observation, Declined, Pending, Absent, Ask)
_PART = _one_of(Event, Hint)
_PARTS = every(_PART, (tuple,))


def _proof(value: Any) -> str | None:
    if not isinstance(value, tuple):
        return _PART(value)
    return f"has more than {MAX_PARTS} parts" if len(value) > MAX_PARTS else _PARTS(value)


PROOF = optional(_proof)
RULES = _one_of(Rules)
CREDENTIALS = mapping(text(MAX_ID_CHARACTERS, least=1), instance(str, Secret))
SCOPE = text(64)
"""What ``build`` and ``login``, ``answer``, ``parse`` (of a lookup: ``LOOKUP_FACT``), ``verify``, ``rules``,
``credentials`` and ``session_scope`` may return."""
