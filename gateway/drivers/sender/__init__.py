"""The only HTTP client of the gateway, for providers and for webhooks: one request, one connection, one answer."""

from gateway.drivers.sender.choice import make_sender
from gateway.drivers.sender.connection import Leaving
from gateway.drivers.sender.places import Places
from gateway.drivers.sender.sender import Sender

__all__ = ["Leaving", "Places", "Sender", "make_sender"]
