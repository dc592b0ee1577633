"""What could be better in settings that are usable as they are, as lines that name the file's line and key.

Of the server, of routing rules, and of accounts what their providers advise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.checks import mapping, text
from gateway.core.errors import fault_of
from gateway.core.expressions import Expression
from gateway.core.map_checks import missing_of_create, problem_of_reading
from gateway.core.plugin_returns import MAX_ID_CHARACTERS, MAX_TEXT_CHARACTERS, UnusableValue, checked
from gateway.core.request_bodies import CreateBody
from gateway.core.urls import bracketed
from gateway.core.wording import closest_name, unknown_name
from gateway.drivers.settings.located_messages import LocatedMessages
from gateway.drivers.settings.model import AccountEntry, Server, Settings, Tenant
from gateway.provider import Advises

_ADVICE = mapping(text(MAX_ID_CHARACTERS, least=1), text(MAX_TEXT_CHARACTERS, least=1))

NEARLY_EQUAL = 0.87
"""How alike the names of two fields are where one is probably the other, written wrongly."""

AMOUNT_IS_TEXT = "compares amount, which is text, with a number, so it never matches: write to_number(amount)"


def advice(settings: Settings) -> list[str]:
    """A line for each piece of advice: of the server, of accounts and of tenants' rules."""
    lines = LocatedMessages(settings.source)
    return [
        *(lines.at(("server", key), said) for key, said in _of_server(settings.server).items()),
        *(
            lines.at(("tenants", entry.tenant, "accounts", entry.name, *key.split(".")), said)
            for tenant in settings.tenants.values()
            for entry in tenant.accounts.values()
            for key, said in {**_of_proxies(settings.server, entry), **_of_fields(entry), **_advice_of(entry)}.items()
        ),
        *(
            lines.at(("tenants", tenant.id, "request_maps", *path), said)
            for tenant in settings.tenants.values()
            for path, said in _of_request_maps(tenant)
        ),
        *(
            lines.at(("tenants", tenant.id, "routing", number, "when"), said)
            for tenant in settings.tenants.values()
            for number, rule in enumerate(tenant.routing)
            if rule.when is not None and (said := _of_condition(rule.when))
        ),
    ]


def _of_server(server: Server) -> Mapping[str, str]:
    if server.development or server.public_url is not None:
        return {}
    address = f"http://{bracketed(server.host)}:{server.port or 'PORT'}"
    return {
        "public_url": f"is not given, so providers and browsers are sent to {address}: write the https address at which"
        " this gateway is reached"
    }


def _of_proxies(server: Server, entry: AccountEntry) -> Mapping[str, str]:
    """Behind a proxy that is not named every callback has the proxy's address."""
    is_limited = getattr(entry.account.config, "source_addresses", ())
    if not is_limited or server.public_url is None or server.trusted_proxies:
        return {}
    return {
        "config.source_addresses": "is compared with the address that connects: if a proxy is in front of the"
        " gateway, name it in server.trusted_proxies, or every callback is refused"
    }


def _of_fields(entry: AccountEntry) -> Mapping[str, str]:
    """A slip in the name of a provider's field makes an additional parameter, and leaves the field as it is."""
    fields, known = entry.account.fields, entry.provider.fields
    said = {
        f"fields.{name}": unknown_name(
            name, known, "does nothing: it is switched off, and is not a field of the provider"
        )
        for name in fields.off - known.keys()
    }
    for name in {field.name for field in fields.fields} - known.keys():
        if meant := closest_name(name, known, least=NEARLY_EQUAL):
            said[f"fields.{name}"] = f'is an additional parameter, and "{meant}" is sent as it is: did you mean that?'
    return said


def _advice_of(entry: AccountEntry) -> Mapping[str, str]:
    """What an account's provider advises, by key of the account. Where the plugin fails, that is the advice."""
    if not isinstance(entry.provider, Advises):
        return {}
    try:
        said: Mapping[str, str] = checked(entry.provider.advice(entry.account), _ADVICE)
    except UnusableValue as wrong:
        return {"provider": f"{entry.provider.name}: advice returned {wrong}"}
    except Exception as broken:  # foreign code: a line, not a traceback
        return {"provider": f"{entry.provider.name}: advice failed: {fault_of(broken)}"}
    return said


def _of_request_maps(tenant: Tenant) -> Iterator[tuple[tuple[str, ...], str]]:
    """Maps whose creates would be refused: (the map's name and maybe a member, what is wrong)."""
    asked = [field.name for entry in tenant.accounts.values() for field in entry.account.fields.asked()]
    for name, one in tenant.request_maps.items():
        missing = missing_of_create(rule.member for rule in one.rules)
        if missing:
            yield (name,), f"makes no create without {' and '.join(missing)}"
        for rule in one.rules:
            if rule.steps[0] == "fields" and not set(rule.steps[1:]).issubset(asked):
                yield (name, rule.member), unknown_name(rule.steps[1], asked, "is a field that no account asks for")


def _of_condition(when: Expression) -> str | None:
    if _compares_amount(when):
        return AMOUNT_IS_TEXT
    return problem_of_reading(when.text, (CreateBody,))


def _compares_amount(when: Expression) -> bool:
    """Whether an expression compares ``amount`` as it is with a number."""
    for part, _ in when.nodes():
        sides = part["children"]
        if part["type"] == "comparator" and {side["type"] for side in sides} == {"field", "literal"}:
            values = [side["value"] for side in sides]
            if "amount" in values and any(isinstance(value, int | float) for value in values):
                return True
    return False
