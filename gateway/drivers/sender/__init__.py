"""The only HTTP client of the gateway, for providers and for webhooks: one request, one connection, one answer."""

from gateway.drivers.sender.choice import make_sender
from gateway.drivers.sender.places import Places
from gateway.drivers.sender.sender import Sender

__all__ = ["Places", "Sender", "make_sender"]
