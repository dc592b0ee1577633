"""Personal data of a payment, and the same records without it. Pure.

What a command still to come may need goes only when the payment has ended: who pays, what was bought and where it
went, the tenant's own pairs, addresses of pages. Amounts, states, references, ids and who decided what stay. In
sentences, which anybody may have written, only the texts of this payment are found, in whatever form they stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Self, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.core import strictjson
from gateway.core.commands import Address, Customer, Order
from gateway.core.facts import Event
from gateway.core.masking import Mask
from gateway.core.payment import Failure, Operation, Payment, PaymentEvent, State
from gateway.core.search_terms import Term, spelled

ERASED = "[erased]"
"""What a sentence has in place of a personal text."""

SHORTEST = 3
"""Characters of a text that is looked for in sentences about its own payment: a shorter one is in any."""

DISTINCT = 6
"""Characters of a text that names a person by itself, and of a number that is not an amount or a date."""

ENDED = frozenset(
    {State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED, State.CANCELED, State.FAILED, State.EXPIRED}
)
"""States after which no command needs what was bought."""

Kind = Literal["email", "phone", "customer_id"]
T = TypeVar("T")

_STANDARD = frozenset({"merchant_reference", "amount_captured", "metadata"})
"""Members by which a payment's view is told from a body under a tenant's own names."""

_EMPTIED: Mapping[str, Any] = {"metadata": {}, "instructions": {}, "redirect_url": None}
_SENTENCES = frozenset({"message", "detail", "note", "provider_code"})
_WORDS_BESIDE = frozenset({"since", "verdict"})
"""Members beside which ``reason`` is a word of the gateway; elsewhere somebody wrote it."""


_IDENTIFYING = ("id", "name", "email", "phone", "phone_number", "address1")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request to export or erase is about, by one of three things: as it was ``written``, and normalized."""

    kind: Kind
    written: str

    @property
    def value(self) -> str:
        """The one spelling of all; empty for what names nobody."""
        return normalized(self.kind, self.written)

    @property
    def texts(self) -> set[str]:
        """What of it names the person by itself."""
        return {text for text in (self.written, self.value) if len(text) >= DISTINCT}

    def is_of(self, payment: Payment) -> bool:
        """Whether a payment names this person."""
        wanted = self.value
        return any(normalized(self.kind, text) == wanted for text in _named(self.kind, payment))


def normalized(kind: Kind, text: str) -> str:
    """One spelling for all, as it is indexed: an address in small letters, of a number its digits."""
    return text.strip() if kind == "customer_id" else spelled(Term(kind), text)


def is_erasable(payment: Payment, *, has_open_operation: bool, grace_began: datetime) -> bool:
    """Whether nothing more is sent for a payment that needs to know who pays.

    What a person must review may go on, and so may what expired after ``grace_began``: it may have been paid in time.
    """
    may_be_paid = payment.expired_at is not None and payment.state is State.EXPIRED and payment.expired_at > grace_began
    return payment.state in ENDED and not (payment.review is not None or has_open_operation or may_be_paid)


class Eraser:
    """Takes personal data out of a payment, and personal ``texts`` out of all that was recorded about it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(texts)

    @classmethod
    def of(cls, payment: Payment) -> Self:
        """The eraser of one payment and its records."""
        return cls({*_texts(payment)} - {*_kept(payment)})

    @cached_property
    def _mask(self) -> Mask:
        return Mask(text for text in self._texts if len(text) >= (DISTINCT if text.isdigit() else SHORTEST))

    def holds(self, text: str) -> bool:
        """Whether a longer text holds one of the texts."""
        return self._mask.holds(text)

    def sentence(self, text: T) -> T:
        """A text without this payment's personal ones; anything else as it is."""
        return self._mask.over(text, lambda _: ERASED) if isinstance(text, str) else text  # type: ignore[return-value]

    def payment(self, whole: Payment, at: datetime) -> Payment:
        """The payment as it is kept."""
        return replace(
            whole,
            customer=Customer(),
            order=Order(charges=whole.order.charges),
            checkout=replace(whole.checkout, rep_email=None),
            fields={},
            metadata={},
            instructions={},
            redirect_url=None,
            return_url=None,
            cancel_url=None,
            form=None,
            failure=self._failure(whole.failure),
            alerts=tuple(replace(alert, message=self.sentence(alert.message)) for alert in whole.alerts),
            memory=self._pairs(whole.memory),
            unknown_statuses=tuple(map(self.sentence, whole.unknown_statuses)),
            erased_at=at,
        )

    def operation(self, operation: Operation) -> Operation:
        """An operation that has ended: what it takes to send it again is needed no more."""
        failure = self._failure(operation.failure)
        return replace(operation, order=None, reason=None, failure=failure, reported=None, repeatable=None)

    def event(self, event: PaymentEvent) -> PaymentEvent:
        """A line of the timeline."""
        return replace(event, details=self._pairs(event.details))

    def proved(self, event: Event) -> Event:
        """The event of a proved callback, which may be applied again."""
        seen = event.observation
        emptied = replace(
            seen,
            redirect_url=None,
            form=None,
            instructions={},
            memory=self._pairs(seen.memory),
            raw_status=self.sentence(seen.raw_status),
            unknown_status=self.sentence(seen.unknown_status),
        )
        return replace(event, observation=emptied, detail=self.sentence(event.detail))

    def body(self, body: str) -> str:
        """A webhook's body, a stored answer, or another JSON text; also under a tenant's own names."""
        try:
            value = strictjson.loads_exact(body.encode())
        except strictjson.NotStrictJson:  # as an older gateway may have stored it
            return self.sentence(body)
        return strictjson.dumps(self._standard(value) if _is_standard(value) else self._renamed(value)).decode()

    def _failure(self, failure: Failure | None) -> Failure | None:
        return failure and replace(failure, message=self.sentence(failure.message))

    def _pairs(self, pairs: Mapping[str, str]) -> dict[str, str]:
        return {name: self.sentence(value) for name, value in pairs.items()}

    def _standard(self, node: Any) -> Any:
        """Our own members, whose meaning is known."""
        if isinstance(node, list):
            return [self._standard(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        return {name: self._member(name, inner, node) for name, inner in node.items()}

    def _member(self, name: str, inner: Any, node: Mapping[str, Any]) -> Any:
        if name in _EMPTIED:
            return _EMPTIED[name]
        if name == "reason" and not _WORDS_BESIDE & node.keys():
            return None
        return self.sentence(inner) if name in _SENTENCES else self._standard(inner)

    def _renamed(self, node: Any) -> Any:
        """Members that a tenant has named: only the values tell."""
        if isinstance(node, list):
            return [self._renamed(inner) for inner in node]
        if isinstance(node, dict):
            return {name: self._renamed(inner) for name, inner in node.items()}
        if isinstance(node, str):
            return ERASED if node in self._texts else self.sentence(node)
        written = node.text if isinstance(node, strictjson.JsonNumber) else f"{node}"
        return None if written in self._texts and not isinstance(node, bool) else node


def _is_standard(value: Any) -> bool:
    """Whether a body holds a payment's view where ours have it, or is the history of a callback."""
    if isinstance(value, list):
        return True
    for step in ("data", "payment"):
        value = value.get(step, value) if isinstance(value, dict) else {}
    return isinstance(value, dict) and value.keys() >= _STANDARD


def identifying(payment: Payment) -> Iterator[str]:
    """Texts that say whom a record is about that names no payment."""
    order = payment.order
    for holder in (payment.customer, order.billing_address, order.shipping_address):
        texts = (getattr(holder, name, None) for name in _IDENTIFYING)
        yield from (text for text in texts if text and len(text) >= DISTINCT)


def _named(kind: Kind, payment: Payment) -> Iterator[str]:
    """The texts by which a payment names a person."""
    customer, order = payment.customer, payment.order
    places = [place for place in (order.billing_address, order.shipping_address) if place is not None]
    if kind == "customer_id":
        found = [customer.id]
    elif kind == "email":
        found = [customer.email, *(place.email for place in places)]
    else:
        found = [customer.phone, *(place.phone_number for place in places)]
    yield from (text for text in found if text)


def _texts(payment: Payment) -> Iterator[str]:
    """Every personal text of a payment, and the words of the name by themselves."""
    customer, order = payment.customer, payment.order
    yield from _filled(customer.id, customer.name, customer.email, customer.phone, payment.checkout.rep_email)
    yield from (customer.name or "").split()
    for place in (order.billing_address, order.shipping_address):
        yield from _filled(*(getattr(place, name) for name in Address.__struct_fields__)) if place is not None else ()
    for pairs in (payment.fields, payment.metadata, payment.instructions, payment.form.fields if payment.form else {}):
        yield from _filled(*pairs.values())
    yield from _filled(payment.return_url, payment.cancel_url, payment.redirect_url)


def _filled(*texts: str | None) -> Iterator[str]:
    return (text for text in texts if text)


def _kept(payment: Payment) -> Iterator[str]:
    """What stays, though a tenant may have written it into a pair of its own as well."""
    yield from (payment.id, payment.tenant, payment.account, payment.provider, payment.merchant_reference)
    yield from _filled(payment.provider_reference, payment.deposit_method, payment.replaces, payment.replaced_by)
    yield from (payment.money.currency, payment.money.text(), *State)
