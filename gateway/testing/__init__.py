"""The kit for authors of providers: for development and tests only, nothing of it runs in a plain ``gateway serve``."""

from gateway.testing.simulator import Call, Effect, Fault, ProviderSimulator, Refusal, SimulatedPayment, route

__all__ = ["Call", "Effect", "Fault", "ProviderSimulator", "Refusal", "SimulatedPayment", "route"]
