"""What a plugin declares is judged when it is loaded: each mistake is a line with its name, and never a traceback."""

# ruff: noqa: ARG005  # logins, by their parameters

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
import yaml

import gateway
from gateway.core.errors import SettingsError
from gateway.core.field_sources import source_paths
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.provider_declaration import login_extras, version_problem
from gateway.drivers.settings import Settings, load_settings
from tests.support.scripted_provider import KEY, ScriptedConfig, ScriptedProvider, plugin_of
from tests.support.stack import basic_settings


def problems_at_load(provider: object) -> tuple[str, ...]:
    """The lines with which the plugin is refused."""
    with pytest.raises(SettingsError) as refused:
        load_plugins(extra=(plugin_of(provider),))
    return refused.value.problems


def field(**members: Any) -> dict[str, gateway.FieldRule]:
    """Declared fields: one, named ``mail``."""
    return {"mail": gateway.FieldRule(**members)}


async def coroutine(*_: object) -> None:
    """A member that was written as ``async def``."""
    await asyncio.sleep(0)


BAD: dict[str, tuple[str, Any, str]] = {
    "account type of dict": ("account_type", dict, "account_type must be a msgspec.Struct type"),
    "account type of an instance": ("account_type", gateway.Hint(), "account_type must be a msgspec.Struct type"),
    "commands of text": ("commands", "create", "commands must be"),
    "a command by name": ("commands", frozenset({"create"}), "commands must hold the gateway's commands only"),
    "a command that is none": ("commands", frozenset({gateway.Hint}), "commands must hold"),
    "fields of a list": ("fields", ["mail"], "fields must be a mapping"),
    "a field of text": ("fields", {"mail": "customer.email"}, "fields must be FieldRule, not str"),
    "a misspelt source": (
        "fields",
        field(source="customer.emial"),
        'fields mail: source is an unknown path "customer.emial"; did you mean "customer.email"?',
    ),
    "a source of several values": ("fields", field(source="order.items"), 'unknown path "order.items"'),
    "a source in a mapping": ("fields", field(source="metadata.branch"), 'unknown path "metadata.branch"'),
    "a source that is a part": ("fields", field(source="customer"), 'unknown path "customer"'),
    "a nested field without its place": ("fields", field(inside="lines[]"), "fields mail: inside needs a name such as"),
    "a source that is no text": ("fields", field(source=None), "source must be str, not None"),
    "a flag of text": ("fields", field(mandatory="yes"), "mandatory must be bool, not str"),
    "secret headers of text": ("secret_headers", "X-Key", "secret_headers must be"),
    "a secret header of bytes": ("secret_headers", frozenset({b"x"}), "secret_headers must be str, not bytes"),
    "async build": ("build", coroutine, "build must not be async"),
    "async prepare": ("prepare", coroutine, "prepare must not be async"),
    "async verify": ("verify", coroutine, "verify must not be async"),
    "a method that is none": ("parse", None, "parse must be a method"),
    "login alone": ("login", lambda _: None, "login and parse_login belong together"),
    "advice that is no method": ("advice", {"fields": "none"}, "advice must be a method"),
    "a newer API": ("api_version", "1.1", "provider outside: api_version 1.1 is newer than 1.0, that of this gateway"),
    "another API": ("api_version", "2.0", "update the gateway, or install an older plugin"),
    "an older API": ("api_version", "0.9", "api_version 0.9 is older than 1.0, the first that this gateway takes"),
    "an API by number": ("api_version", 1.0, 'api_version must be a text such as "1.0"'),
    "an API in words": ("api_version", "1", 'api_version must be a text such as "1.0"'),
    "a name with a blank": ("name", "out side", "name must match"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_in_a_declaration_is_a_line(what: str) -> None:
    """It names plugin, provider and member, before any money is moved."""
    member, value, expected = BAD[what]
    provider = ScriptedProvider()
    setattr(provider, member, value)
    (line,) = problems_at_load(provider)
    assert line.startswith("plugin plugin_")
    assert expected in line


@pytest.mark.parametrize("version", ["1.0", None])
def test_a_provider_for_this_api_is_loaded(version: str | None) -> None:
    """Whether it says so or was written before it could."""
    provider = ScriptedProvider()
    if version is not None:
        provider.api_version = version  # type: ignore[attr-defined]  # an optional member
    assert load_plugins(extra=(plugin_of(provider),)).providers["outside"] is provider


@pytest.mark.parametrize(("wanted", "fits"), [("1.0", True), ("1.4", True), ("1.5", False), ("2.0", False)])
def test_older_minor_versions_fit(wanted: str, fits: bool) -> None:
    """What works with one version works with every later one of its major version."""
    assert (version_problem(wanted, "1.4") is None) is fits
    assert (
        version_problem("1.7", "2.3")
        == "1.7 is older than 2.0, the first that this gateway takes: install a newer plugin"
    )


LOGINS: dict[str, tuple[Any, bool | None]] = {
    "account": (lambda account: None, False),
    "account and time": (lambda account, at: None, True),
    "the time by another name": (lambda account, now: None, True),
    "a time with a default": (lambda account, at=None: None, True),
    "another default, as before 1.0": (lambda account, scope="all": None, False),
    "a keyword": (lambda account, *, scope="all": None, False),
    "nothing": (lambda: None, None),
    "too much": (lambda account, at, scope: None, None),
    "a keyword that is missing": (lambda account, *, scope: None, None),
}


@pytest.mark.parametrize("what", LOGINS)
def test_login_is_given_the_time_if_it_takes_it(what: str) -> None:
    """Its parameters say so when it is loaded; a login that cannot be called is a line."""
    login, takes_time = LOGINS[what]
    provider = ScriptedProvider()
    vars(provider).update(login=login, parse_login=lambda *_: None)
    if takes_time is None:
        (line,) = problems_at_load(provider)
        assert line.endswith("provider outside: login must take account, and at (the time) if it wants it")
    else:
        load_plugins(extra=(plugin_of(provider),))
        assert login_extras(provider) == takes_time


SCOPED: dict[str, tuple[Any, int | None]] = {
    "account": (lambda account: None, 0),
    "account and time": (lambda account, at: None, 1),
    "all three": (lambda account, at, scope: None, 2),
    "with defaults": (lambda account, at=None, scope="": None, 2),
    "another default": (lambda account, at, retries=3: None, 1),
    "too much": (lambda account, at, scope, more: None, None),
}


@pytest.mark.parametrize("what", SCOPED)
def test_login_is_given_the_scope_where_there_are_several(what: str) -> None:
    """A third parameter takes it, if the provider says which session a command needs."""
    login, extras = SCOPED[what]
    provider = ScriptedProvider()
    vars(provider).update(login=login, parse_login=lambda *_: None, session_scope=lambda _: "refunds")
    if extras is None:
        (line,) = problems_at_load(provider)
        assert line.endswith("login must take account, and at (the time), then scope if it wants it")
    else:
        load_plugins(extra=(plugin_of(provider),))
        assert login_extras(provider) == extras


def test_a_scope_without_a_login_is_a_line() -> None:
    """There is no session that it could name."""
    provider = ScriptedProvider()
    vars(provider).update(session_scope=lambda _: "refunds")
    (line,) = problems_at_load(provider)
    assert line.endswith("provider outside: session_scope needs login")


def test_a_login_of_a_class_is_looked_at_like_a_function() -> None:
    """``self`` is no parameter of the call."""

    class LogsIn(ScriptedProvider):
        def login(self, account: gateway.Account) -> None: ...

    class LogsInAt(ScriptedProvider):
        def login(self, account: gateway.Account, at: datetime) -> None: ...

    assert [login_extras(one) for one in (LogsIn(), LogsInAt())] == [False, True]


def test_a_member_that_fails_is_a_line() -> None:
    """Reading a declaration runs foreign code."""

    class Failing(ScriptedProvider):
        @property
        def commands(self) -> NoReturn:
            raise RuntimeError(KEY)

        @commands.setter
        def commands(self, value: object) -> None: ...

    (line,) = problems_at_load(Failing())
    assert line.endswith("provider Failing cannot be read: RuntimeError")


def test_every_source_leads_to_a_value() -> None:
    """The paths are those of a create command, with its parts."""
    wanted = {
        "merchant_reference",
        "customer.email",
        "order.charges.tax",
        "checkout.mode",
        "money.currency",
        "urls.return_",
    }
    assert wanted <= source_paths()
    assert not {"customer", "order.items", "fields", "metadata"} & source_paths()


# What is asked of an account


def settings_with(folder: Path, provider: ScriptedProvider, **account: Any) -> Settings:
    """Settings with one account at this provider."""
    written = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    written["tenants"]["acme"]["accounts"]["outside-main"] = {"provider": "outside", "config": {"key": KEY}, **account}
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    registry = load_plugins(extra=(plugin_of(provider),))
    return load_settings(path, providers=registry.providers, environ={})


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A member that raises."""

    def member(*_: object) -> NoReturn:
        raise error

    return member


ASKED: dict[str, tuple[Callable[..., Any], str]] = {
    "an error": (raising(KeyError(KEY)), "failed: KeyError in test_provider_declaration.py:"),
    "the end of the process": (raising(SystemExit(1)), "failed: SystemExit in test_provider_declaration.py:"),
    "None": (lambda _: None, "returned NoneType: must be"),
    "text": (lambda _: KEY, "returned str: must be"),
    "a coroutine": (lambda _: {"key": 7}, "must be"),
}


UNUSABLE = [
    *product(("rules", "credentials"), ASKED),
    *product(("prepare",), ("an error", "the end of the process", "None")),
]


@pytest.mark.parametrize(("member", "what"), UNUSABLE)
def test_what_is_asked_of_an_account_is_judged_with_the_settings(tmp_path: Path, member: str, what: str) -> None:
    """One line with tenant, account, provider and member; the place, and neither traceback nor text of the error."""
    provider = ScriptedProvider()
    does, expected = ASKED[what]
    setattr(provider, member, does)
    with pytest.raises(SettingsError) as refused:
        settings_with(tmp_path, provider)
    (line,) = refused.value.problems
    assert f"tenant acme: accounts.outside-main: provider outside: {member} " in line
    assert expected.replace("NoneType", "None") in line
    assert KEY not in line


def test_a_rule_that_is_none_of_the_gateways_is_named(tmp_path: Path) -> None:
    """The member of ``Rules`` stands in the line."""
    provider = ScriptedProvider()
    provider.rules = lambda _: gateway.Rules(cancel_from=frozenset({"authorised"}))  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match="rules returned Rules: cancel_from must hold payment states only"):
        settings_with(tmp_path, provider)


CONTRADICTIONS = {
    'captures is "many", but CapturePayment is not among the commands': {"captures": "many"},
    "poll is set, but FetchPayment is not among the commands": {"poll": (timedelta(minutes=1),)},
    "repeatable names RefundPayment, which is not among the commands": {
        "repeatable": frozenset({gateway.CreatePayment, gateway.RefundPayment})
    },
}


@pytest.mark.parametrize("said", CONTRADICTIONS)
def test_rules_fit_the_commands(tmp_path: Path, said: str) -> None:
    """A rule about what the provider cannot do is a mistake of the plugin, not a wish."""
    provider = ScriptedProvider()
    provider.rules = lambda _: gateway.Rules(**CONTRADICTIONS[said])  # type: ignore[method-assign]
    settings_with(tmp_path, provider)
    provider.commands = frozenset({gateway.CreatePayment})
    with pytest.raises(SettingsError, match=f"outside: rules returned Rules: {said}"):
        settings_with(tmp_path, provider)


def test_a_judgement_of_the_config_shows_no_secret(tmp_path: Path) -> None:
    """A ``ValueError`` is the plugin's word on the config; the secrets in it are masked."""
    provider = ScriptedProvider()
    provider.rules = raising(ValueError(f"key must not be {KEY}"))  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match=r"accounts\.outside-main\.config\.key: must not be \*\*\*"):
        settings_with(tmp_path, provider)


class Strict(msgspec.Struct, frozen=True, kw_only=True):
    """A config that judges itself badly."""

    key: gateway.Secret

    def __post_init__(self) -> None:
        raise ValueError(f"key {self.key.reveal()} is not good")


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A config whose own code fails."""

    key: gateway.Secret

    def __post_init__(self) -> None:
        raise KeyError(self.key.reveal())


@pytest.mark.parametrize(
    ("account_type", "expected"),
    [
        (Strict, r"config\.key: \*\*\* is not good"),
        (Broken, "provider outside: account_type failed: KeyError in test_provider_declaration.py:"),
    ],
)
def test_a_config_that_judges_itself_shows_no_secret(
    tmp_path: Path, account_type: type[msgspec.Struct], expected: str
) -> None:
    """Whatever a plugin's Struct raises is one line."""
    provider = ScriptedProvider()
    provider.account_type = account_type
    with pytest.raises(SettingsError, match=expected) as refused:
        settings_with(tmp_path, provider)
    assert KEY not in str(refused.value)


def test_an_account_is_asked_once(tmp_path: Path) -> None:
    """What the other side is told is kept: no request calls the plugin for it, and both generations are known."""
    provider = ScriptedProvider()
    asked: list[str] = []

    def credentials(account: gateway.Account) -> dict[str, str | gateway.Secret]:
        asked.append(account.name)
        return {"id": account.tenant, "key": account.derive("key") or ""}

    provider.credentials = credentials  # type: ignore[method-assign]
    settings = settings_with(tmp_path, provider, generation=2, accept_previous=True)
    entry = settings.tenants["acme"].accounts["outside-main"]
    assert (entry.credentials["id"], asked) == ("acme", ["outside-main"] * 2)
    assert entry.credentials["key"] == entry.account.derive("key")
    assert entry.earlier[0].credentials["key"] == entry.account.derive("key", previous=True)


class Preparing(ScriptedProvider):
    """It names what it prepared as a credential."""

    def prepare(self, account: gateway.Account) -> gateway.Secret | None:
        """Derive the key."""
        return account.derive("key")

    def credentials(self, account: gateway.Account) -> dict[str, str | gateway.Secret]:
        """The key that was prepared."""
        return {"key": account.prepared}


def test_an_account_is_prepared_before_anything_else_is_asked(tmp_path: Path) -> None:
    """Each generation with its own secrets; a provider that prepares nothing has nothing prepared."""
    settings = settings_with(tmp_path, Preparing(), generation=2, accept_previous=True)
    entry = settings.tenants["acme"].accounts["outside-main"]
    own, before = (entry.account.derive("key", previous=previous) for previous in (False, True))
    assert entry.account.prepared == entry.credentials["key"] == own
    assert entry.earlier[0].credentials["key"] == before != own
    assert settings.tenants["acme"].accounts["creditkey-main"].account.prepared is None


def test_a_good_plugin_loads(tmp_path: Path) -> None:
    """The plugin all these are made from."""
    entry = settings_with(tmp_path, ScriptedProvider()).tenants["acme"].accounts["outside-main"]
    assert entry.rules.expires_after == timedelta(days=1)
    assert entry.credentials == {"key": gateway.Secret(KEY)}


BROKEN_PLUGIN = """
import gateway_creditkey


class Broken(gateway_creditkey.CreditKey):
    name = "broken"

    def credentials(self, account):
        raise RuntimeError(account.config.shared_secret.reveal())


import gateway


@gateway.hookimpl
def gateway_providers():
    return [Broken()]
"""


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_command_ends_with_two_and_a_line(tmp_path: Path, command: str) -> None:
    """A plugin found by its entry point, as operators meet it: exit 2, one line, no traceback and no secret."""
    (tmp_path / "broken.py").write_text(BROKEN_PLUGIN)
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[gateway.providers]\nbroken = broken\n")
    written = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    account = written["tenants"]["acme"]["accounts"]["creditkey-main"]
    written["tenants"]["acme"]["accounts"]["broken-main"] = {**account, "provider": "broken"}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", command, "--config", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "tenant acme: accounts.broken-main: provider broken: credentials failed: RuntimeError" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert account["config"]["shared_secret"] not in ended.stderr


class Smallest(gateway.Provider):
    """What a provider must have when it inherits the rest."""

    name = "smallest"
    account_type = ScriptedConfig
    commands = frozenset({gateway.CreatePayment})

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Nothing is sent in these tests."""
        raise NotImplementedError

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation:
        """Nothing is answered in these tests."""
        raise NotImplementedError

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> None:
        """Nothing is called back in these tests."""
        raise NotImplementedError

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        """Nothing is called back in these tests."""
        raise NotImplementedError


def test_a_provider_inherits_what_it_does_not_say() -> None:
    """No fields, no secret headers, no credentials, and everything is allowed."""
    (provider,) = load_plugins(extra=(plugin_of(Smallest()),), allowed=()).providers.values()
    account: Any = None
    assert (dict(provider.fields), provider.secret_headers) == ({}, frozenset())
    assert (dict(provider.credentials(account)), provider.rules(account)) == ({}, gateway.Rules())


@pytest.mark.parametrize("member", ["build", "parse", "verify", "answer"])
def test_the_rest_has_no_default(member: str) -> None:
    """A forgotten ``verify`` must not accept callbacks: the plugin is refused when it is loaded."""
    rest = {name: value for name, value in vars(Smallest).items() if name in {"name", "account_type", "commands"}}
    kept = {name: vars(Smallest)[name] for name in ("build", "parse", "verify", "answer") if name != member}

    class Plugin:
        @gateway.hookimpl
        def gateway_providers(self) -> list[gateway.Provider]:
            return [type("Forgetful", (gateway.Provider,), {**rest, **kept})()]

    with pytest.raises(SettingsError, match=rf"^plugin Plugin: gateway_providers failed: TypeError: .*{member}"):
        load_plugins(extra=(Plugin(),), allowed=())
