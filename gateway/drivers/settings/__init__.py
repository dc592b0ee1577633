"""``settings.yaml`` -> frozen ``Settings``. What other layers need is named here."""

from gateway.drivers.settings.advice import advice
from gateway.drivers.settings.listen_problems import cannot_listen, unusable_hosts
from gateway.drivers.settings.load import load_settings, read_settings
from gateway.drivers.settings.located_messages import LocatedMessages
from gateway.drivers.settings.model import (
    ROLES,
    AccountEntry,
    Admin,
    BearerKey,
    Clocks,
    DepositMethod,
    Derivation,
    OperatorKey,
    Rate,
    Role,
    RoutingRule,
    Server,
    Settings,
    Tenant,
    Timeouts,
    Webhook,
    WebhookTarget,
)
from gateway.drivers.settings.overview import Overview
from gateway.drivers.settings.plugin_lists import plugin_names
from gateway.drivers.settings.settings_files import SettingsFiles
from gateway.drivers.settings.store_target import StoreTarget

__all__ = [
    "ROLES",
    "AccountEntry",
    "Admin",
    "BearerKey",
    "Clocks",
    "DepositMethod",
    "Derivation",
    "LocatedMessages",
    "OperatorKey",
    "Overview",
    "Rate",
    "Role",
    "RoutingRule",
    "Server",
    "Settings",
    "SettingsFiles",
    "StoreTarget",
    "Tenant",
    "Timeouts",
    "Webhook",
    "WebhookTarget",
    "advice",
    "cannot_listen",
    "load_settings",
    "plugin_names",
    "read_settings",
    "unusable_hosts",
]
