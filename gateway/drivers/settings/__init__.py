"""``settings.yaml`` -> frozen ``Settings``. What other floors need is named here."""

from gateway.drivers.settings.load import blocked_plugins, load_settings
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
    "blocked_plugins",
    "load_settings",
]
