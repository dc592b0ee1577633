"""A simulator of Credit Key for development: ``ledger`` holds its orders and rules, ``app`` serves them over HTTP."""

from gateway_creditkey.simulator.app import CreditKeySimulator
from gateway_creditkey.simulator.ledger import Fault, OrderEdit

__all__ = ["CreditKeySimulator", "Fault", "OrderEdit"]
