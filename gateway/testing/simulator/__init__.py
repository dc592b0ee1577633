"""The kit for simulators of providers: routes, books, journal, faults, tokens, callbacks, a page and a clock."""

from gateway.testing.simulator.call import Call, route
from gateway.testing.simulator.clock import MovableClock
from gateway.testing.simulator.faults import Fault
from gateway.testing.simulator.ledger import Effect, Ledger, Refusal, SimulatedPayment
from gateway.testing.simulator.provider_simulator import SIMULATOR, ProviderSimulator

__all__ = [
    "SIMULATOR",
    "Call",
    "Effect",
    "Fault",
    "Ledger",
    "MovableClock",
    "ProviderSimulator",
    "Refusal",
    "SimulatedPayment",
    "route",
]
