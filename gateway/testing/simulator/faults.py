"""How a simulator misbehaves: switches that tests set by ``PUT /_sim/faults``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong. A simulator with more ways to go wrong adds members in a subclass.

    ``operation``: for one route, by the name of its method; else for all. ``times``: how many calls it changes; else
    until it is replaced. ``delay_ms``: the answer comes later. Before any effect: ``status`` (with ``body``) refuses,
    ``html`` answers with a page. After the effect: ``malformed`` cuts the answer, ``html_after_effect`` answers with a
    page and 200. ``silence`` closes the connection without an answer. ``status_word``: every status is this word.
    ``pending``: captures and refunds wait for ``POST /_sim/effects``. ``end_tokens``: all tokens end before the call.
    ``early_callback``: callbacks of a call leave before its answer. ``hold_callbacks``: they wait for
    ``POST /_sim/callbacks``. ``duplicate_callback``: each is made and sent twice.
    """

    operation: str | None = None
    times: int | None = None
    delay_ms: int = 0
    status: int | None = None
    body: Any = None
    html: bool = False
    silence: Literal["before_effect", "after_effect"] | None = None
    malformed: bool = False
    html_after_effect: bool = False
    status_word: str | None = None
    pending: bool = False
    end_tokens: bool = False
    early_callback: bool = False
    hold_callbacks: bool = False
    duplicate_callback: bool = False

    CALLBACKS: ClassVar[frozenset[str]] = frozenset({"hold_callbacks", "duplicate_callback"})
    """Members that change what is sent, not how a call is answered."""

    def concerns(self, *, callbacks: bool) -> bool:
        """Whether it changes callbacks, or calls."""
        changed = {
            field.name
            for field in msgspec.structs.fields(self)
            if field.name not in ("operation", "times") and getattr(self, field.name) != field.default
        }
        return bool(changed & self.CALLBACKS if callbacks else changed - self.CALLBACKS)


F = TypeVar("F", bound=Fault)


class Faults(Generic[F]):
    """The faults that are set; the first that fits a call is the one it meets."""

    def __init__(self, kind: type[F], operations: Collection[str]) -> None:
        self._kind, self._operations = kind, operations
        self.active: list[F] = []

    def replace(self, body: bytes) -> F | list[F]:
        """Set the faults of a JSON body, an object or a list of objects; ``{}`` clears. Raises ``ValueError``."""
        kinds: Any = self._kind | list[self._kind]  # type: ignore[name-defined]  # a type made at run time
        faults: F | list[F] = msgspec.json.decode(body, type=kinds)
        active = faults if isinstance(faults, list) else [faults]
        for fault in active:
            if fault.operation is not None and fault.operation not in self._operations:
                raise ValueError(f'operation "{fault.operation}" is not one of {", ".join(sorted(self._operations))}')
        self.active = active
        return faults

    def present(self) -> F:
        """The first fault, without counting."""
        return self.active[0] if self.active else self._kind()

    def meet(self, operation: str, *, callbacks: bool = False) -> F:
        """The fault that a call of this operation, or its callbacks, meet; counted. Without one, a fault of nothing."""
        for place, fault in enumerate(self.active):
            if fault.operation in (None, operation) and fault.concerns(callbacks=callbacks):
                self._count_down(place, fault)
                return fault
        return self._kind()

    def _count_down(self, place: int, fault: F) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self.active[place] = msgspec.structs.replace(fault, times=fault.times - 1)
        else:
            del self.active[place]
