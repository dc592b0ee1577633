"""``settings.yaml`` -> frozen ``Settings``. What other floors need is named here."""

from gateway.drivers.settings.load import blocked_plugins, load_settings
from gateway.drivers.settings.model import (
    AccountEntry,
    Admin,
    Clocks,
    DepositMethod,
    Derivation,
    Rate,
    RoutingRule,
    Server,
    Settings,
    Tenant,
    TenantKey,
    Timeouts,
    Webhook,
)

__all__ = [
    "AccountEntry",
    "Admin",
    "Clocks",
    "DepositMethod",
    "Derivation",
    "Rate",
    "RoutingRule",
    "Server",
    "Settings",
    "Tenant",
    "TenantKey",
    "Timeouts",
    "Webhook",
    "blocked_plugins",
    "load_settings",
]
