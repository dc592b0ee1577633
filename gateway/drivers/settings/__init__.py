"""``settings.yaml`` -> frozen ``Settings``. What other floors need is named here."""

from gateway.drivers.settings.load import load_settings
from gateway.drivers.settings.model import (
    AccountEntry,
    Admin,
    BearerKey,
    Clocks,
    DepositMethod,
    Derivation,
    Rate,
    RoutingRule,
    Server,
    Settings,
    Tenant,
    Timeouts,
    Webhook,
)
from gateway.drivers.settings.plugins import plugin_names

__all__ = [
    "AccountEntry",
    "Admin",
    "BearerKey",
    "Clocks",
    "DepositMethod",
    "Derivation",
    "Rate",
    "RoutingRule",
    "Server",
    "Settings",
    "Tenant",
    "Timeouts",
    "Webhook",
    "load_settings",
    "plugin_names",
]
