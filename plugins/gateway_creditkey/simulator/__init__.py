"""A simulator of Credit Key for development: ``ledger`` holds its orders and rules, ``app`` serves them over HTTP."""

from gateway_creditkey.simulator.app import PORT, Fault, creditkey_simulator, make_app
from gateway_creditkey.simulator.ledger import OrderEdit

__all__ = ["PORT", "Fault", "OrderEdit", "creditkey_simulator", "make_app"]
