"""The only HTTP client of the gateway, for providers and for webhooks: one request, one connection, one answer."""

from gateway.drivers.sender.connection import ClosingConnections
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.factory import make_sender
from gateway.drivers.sender.sender import Sender

__all__ = ["ClosingConnections", "ConnectionSlots", "Sender", "make_sender"]
