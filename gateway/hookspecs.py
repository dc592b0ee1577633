"""The hooks a plugin may implement. Mark an implementation with ``gateway.hookimpl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from gateway.core.payment import PaymentEvent
from gateway.provider import Provider, Simulator

if TYPE_CHECKING:
    from gateway.core.payment import Payment

PROJECT = "gateway"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def gateway_providers() -> list[Provider]:  # type: ignore[empty-body]  # a hook specification has no body
    """Return the providers this plugin offers (required)."""


@hookspec
def gateway_simulators() -> list[Simulator]:  # type: ignore[empty-body]  # a hook specification has no body
    """Return the simulators for development (optional)."""


@hookspec
def gateway_payment_changed(payment: Payment, event: PaymentEvent) -> None:
    """Observe a committed change (optional). Called outside the request; an error is logged and isolated."""
