"""Plugins found, checked and named: by entry points of real distributions on disk, and as modules in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

import gateway
from gateway.core.errors import SettingsError
from gateway.core.facts import Cause
from gateway.core.payment import Payment, PaymentEvent
from gateway.drivers import plugin_registry
from gateway.drivers.installed_plugins import installed
from gateway.drivers.plugin_registry import PluginInfo, Registry, load_plugins
from tests.support.virtual_clock import START

BUNDLED = ("creditkey", "psp_open_api")


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """An account without settings."""


class FakeProvider:
    """Has every member of the protocol and does nothing."""

    account_type = Nothing
    commands: frozenset[type[gateway.Command]] = frozenset()
    fields: dict[str, gateway.FieldRule] = {}  # noqa: RUF012  # as a plugin author would write it
    secret_headers: frozenset[str] = frozenset()

    def __init__(self, name: str) -> None:
        self.name = name

    def rules(self, *_: object) -> Any: ...
    def build(self, *_: object) -> Any: ...
    def credentials(self, *_: object) -> Any: ...
    def parse(self, *_: object) -> Any: ...
    def verify(self, *_: object) -> Any: ...
    def answer(self, *_: object) -> Any: ...


def simulator(provider: str) -> gateway.Simulator:
    """A simulator that is never started."""
    return gateway.Simulator(provider=provider, port=1, app=lambda _: None)


def plugin(name: str, **hooks: Callable[..., Any]) -> ModuleType:
    """A module whose functions are marked as hooks."""
    made = ModuleType(name)
    for hook, function in hooks.items():
        setattr(made, hook, gateway.hookimpl(function))
    return made


def offering(plugin_name: str, *providers: object, **hooks: Callable[..., Any]) -> ModuleType:
    """A plugin that offers providers."""
    return plugin(plugin_name, gateway_providers=lambda: list(providers), **hooks)


def load(*extra: object, blocked: tuple[str, ...] = ()) -> Registry:
    """Load these plugins and none of the bundled ones."""
    return load_plugins(blocked={*BUNDLED, *blocked}, extra=extra)


def problems(*extra: object, blocked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Load and return the lines it is refused with."""
    with pytest.raises(SettingsError) as caught:
        load(*extra, blocked=blocked)
    return caught.value.problems


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution ``NAME`` 1.2 with one module and an entry point of the same name."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, source: str, *, point: str = "", distribution: str = "") -> None:
        (tmp_path / f"{name}.py").write_text(source)
        distribution = distribution or f"dist-of-{name}"
        metadata = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[gateway.providers]\n{point or name} = {name}\n")

    return make


PUBLISHED = """
import gateway
from tests.drivers.test_plugin_registry import FakeProvider
@gateway.hookimpl
def gateway_providers():
    return [FakeProvider("{provider}")]
"""


class TestEntryPoints:
    def test_an_installed_plugin_is_found(self, publish: Callable[..., None]) -> None:
        """A distribution with an entry point is all it takes, and the registry tells where a provider comes from."""
        publish("acmepay_plugin", PUBLISHED.format(provider="acmepay"))
        registry = load()
        assert list(registry.providers) == ["acmepay"]
        assert registry.plugins == (
            PluginInfo(
                name="acmepay_plugin",
                distribution="dist-of-acmepay_plugin",
                version="1.2",
                api_version="1.0",
                providers=("acmepay",),
            ),
        )

    def test_a_blocked_plugin_is_not_even_imported(self, publish: Callable[..., None]) -> None:
        """Blocking works against a plugin whose import breaks."""
        publish("broken_plugin_1", "raise RuntimeError('must not run')")
        assert load(blocked=("broken_plugin_1",)).plugins == ()

    def test_only_allowed_plugins_are_imported(self, publish: Callable[..., None]) -> None:
        """Where there is a list, whatever else is installed never runs, and a blocked one not even when listed."""
        publish("allowed_plugin", PUBLISHED.format(provider="allowed"))
        publish("installed_besides", "raise RuntimeError('must not run')")
        assert list(load_plugins(allowed=("allowed_plugin",)).providers) == ["allowed"]
        assert load_plugins(allowed=()).plugins == ()
        assert load_plugins(allowed=("installed_besides",), blocked=("installed_besides",)).plugins == ()

    def test_what_was_found_before_is_not_looked_for_again(self, publish: Callable[..., None]) -> None:
        """A start looks once through what is installed."""
        publish("found_before", PUBLISHED.format(provider="before"))
        found = installed()
        publish("installed_since", PUBLISHED.format(provider="since"))
        assert list(load_plugins(found, blocked=BUNDLED).providers) == ["before"]

    def test_two_distributions_with_one_plugin_name(self, publish: Callable[..., None], tmp_path: Path) -> None:
        """Both are named, and the code of neither runs, nor that of any other; blocked they harm nobody."""
        for number in (1, 2):
            publish(f"twin_{number}", f"open({str(tmp_path / 'ran')!r}, 'w')", point="acmepay")
        assert problems() == (
            "plugin acmepay: is offered by dist-of-twin_1 1.2 (twin_1) and dist-of-twin_2 1.2 (twin_2)",
        )
        assert not (tmp_path / "ran").exists()
        assert load(blocked=("acmepay",)).plugins == ()

    def test_two_names_for_one_module(self, publish: Callable[..., None], tmp_path: Path) -> None:
        """Which distribution's file would run is chance; none does."""
        source = f"open({str(tmp_path / 'ran')!r}, 'w')"
        publish("one_module", source, point="honest", distribution="honest-pay")
        publish("one_module", source, point="other", distribution="other-pay")
        assert problems() == (
            "plugins honest and other: are one module, one_module, of "
            "honest-pay 1.2 (one_module) and other-pay 1.2 (one_module)",
        )
        assert not (tmp_path / "ran").exists()

    def test_a_plugin_that_cannot_be_imported_is_named(self, publish: Callable[..., None]) -> None:
        """Its error is one line, not a traceback."""
        publish("broken_plugin_2", "import no_such_module_anywhere")
        assert problems() == (
            "plugin broken_plugin_2: cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        )

    def test_a_plugin_is_imported_once(self, publish: Callable[..., None], tmp_path: Path) -> None:
        """Its module runs once and its hook is asked once."""
        counting = f"open({str(tmp_path / 'count')!r}, 'a').write('x')\n"
        publish(
            "counting_plugin",
            counting + PUBLISHED.format(provider="counted").replace("    return", f"    {counting}    return"),
        )
        load()
        assert (tmp_path / "count").read_text() == "xx"


class TestRefused:
    def test_two_plugins_with_one_provider(self) -> None:
        """A name decides who gets the money, so it has one owner; both plugins are named."""
        assert problems(offering("first", FakeProvider("pay")), offering("second", FakeProvider("pay"))) == (
            'plugin second: provider "pay" is already offered by plugin first',
        )

    def test_a_misspelt_hook(self) -> None:
        """A marked function that is no hook is refused, with the name that was meant."""
        made = offering("acme", gateway_payment_change=lambda: None)
        assert problems(made) == (
            'plugin acme: "gateway_payment_change" is not a hook; did you mean "gateway_payment_changed"?',
        )

    def test_a_marked_function_of_any_name(self) -> None:
        """The mark alone makes a function a hook, so its name is judged."""
        [problem] = problems(offering("acme", on_payment=lambda: None))
        assert problem.startswith('plugin acme: "on_payment" is not a hook; known are gateway_payment_changed, ')

    def test_an_unmarked_hook(self) -> None:
        """A hook whose mark was forgotten would silently never be called."""
        made = offering("acme", FakeProvider("pay"))
        made.gateway_simulators = lambda: []
        assert problems(made) == ('plugin acme: "gateway_simulators" is not marked with @gateway.hookimpl',)

    def test_a_hook_with_an_argument_nobody_passes(self) -> None:
        """The signature of a hook is checked at start, not at its first call."""
        (line,) = problems(offering("acme", gateway_payment_changed=lambda tenant: tenant))
        assert line.startswith("plugin acme: ")
        assert "tenant" in line

    def test_a_plugin_without_providers(self) -> None:
        """The one required hook is missed."""
        assert problems(ModuleType("empty")) == ('plugin empty: has no hook "gateway_providers"',)

    def test_a_provider_that_lacks_members(self) -> None:
        """Every missing member is named."""

        class Half:
            name = "half"
            account_type = Nothing
            commands = fields = secret_headers = frozenset()

            def build(self) -> None: ...
            def parse(self) -> None: ...
            def answer(self) -> None: ...
            def rules(self) -> None: ...

        assert problems(offering("acme", Half())) == ("plugin acme: provider Half lacks credentials, verify",)

    @pytest.mark.parametrize("name", ["", "Pay", "pay-me", "1pay", 7])
    def test_a_provider_with_a_name_settings_could_not_spell(self, name: Any) -> None:
        """Names are plain words."""
        (line,) = problems(offering("acme", FakeProvider(name)))
        assert line.startswith("plugin acme: provider FakeProvider: name must match")

    def test_a_hook_that_fails(self) -> None:
        """An error inside ``gateway_providers`` is a line that names the plugin."""

        def fail() -> list[Any]:
            raise KeyError("x")

        made = plugin("acme", gateway_providers=fail)
        assert problems(made) == ("plugin acme: gateway_providers failed: KeyError: 'x'",)

    def test_a_class_in_place_of_a_provider(self) -> None:
        """Its members are all there, so it would only fail when the first account is loaded."""
        made = plugin("acme", gateway_providers=lambda: [FakeProvider])
        assert problems(made) == ("plugin acme: provider FakeProvider is a class: return FakeProvider() in the list",)

    def test_a_class_that_needs_no_object(self) -> None:
        """All its methods are static: it is called as an object of it would be."""

        class Static(FakeProvider):
            name = "pay"
            rules = build = credentials = parse = verify = answer = staticmethod(lambda *_: None)

        assert list(load(offering("acme", Static)).providers) == ["pay"]

    def test_a_hook_that_returns_no_list(self) -> None:
        """A provider instead of a list of them is told apart."""
        made = plugin("acme", gateway_providers=lambda: FakeProvider("pay"))
        assert problems(made) == ("plugin acme: gateway_providers must return a list, not FakeProvider",)

    def test_one_plugin_twice(self) -> None:
        """The same module is not registered twice."""
        made = offering("acme", FakeProvider("pay"))
        assert problems(made, made) == ("plugin acme: is there twice, under this name or another",)

    def test_every_problem_at_once(self) -> None:
        """Two broken plugins make two lines."""
        assert len(problems(ModuleType("one"), ModuleType("two"))) == 2


class TestSimulators:
    def test_simulators_are_found(self) -> None:
        """A plugin's far side is listed under its provider."""
        remote = simulator("pay")
        assert load(offering("acme", FakeProvider("pay"), gateway_simulators=lambda: [remote])).simulators == {
            "pay": remote
        }

    def test_simulators_are_not_asked_for_at_load(self) -> None:
        """A production start runs no development code of a plugin."""
        asked: list[str] = []
        registry = load(offering("acme", FakeProvider("pay"), gateway_simulators=lambda: asked.append("x") or []))
        assert asked == []
        assert (registry.simulators, registry.simulators) == ({}, {})
        assert asked == ["x"]

    @pytest.mark.parametrize(
        "offered",
        [
            None,
            "pay",
            gateway.Simulator(provider="pay", port="9101", app=lambda _: None),  # type: ignore[arg-type]
            gateway.Simulator(provider="pay", port=70_000, app=lambda _: None),
            gateway.Simulator(provider="pay", port=1, app=None),  # type: ignore[arg-type]
        ],
    )
    def test_a_simulator_that_is_none(self, offered: object) -> None:
        """What is offered as a simulator is judged member by member."""
        made = offering("acme", FakeProvider("pay"), gateway_simulators=lambda: [offered])
        with pytest.raises(SettingsError, match="plugin acme: simulator "):
            _ = load(made).simulators

    @pytest.mark.parametrize("offered", [["other"], ["pay", "pay"]])
    def test_a_simulator_that_fits_no_provider(self, offered: list[str]) -> None:
        """A simulator of an unknown provider, and a second one of the same, are refused."""
        made = offering("acme", FakeProvider("pay"), gateway_simulators=lambda: [simulator(name) for name in offered])
        with pytest.raises(SettingsError, match="plugin acme: no provider, or a second simulator"):
            _ = load(made).simulators


class TestObserve:
    PAYMENT = Payment(
        id="pay_1",
        tenant="acme",
        account="main",
        provider="pay",
        merchant_reference="R-1",
        money=gateway.Money.of(Decimal(10), "USD", 2),
        accepted_amount=Decimal(10),
        created_at=START,
        updated_at=START,
    )
    EVENT = PaymentEvent(
        type="payment.captured",
        version=2,
        cause=Cause.CALLBACK,
        state_before=gateway.State.CREATED,
        state_after=gateway.State.CAPTURED,
        at=START,
    )

    def test_an_observer_is_told(self) -> None:
        """It may name only the arguments it wants."""
        seen: list[str] = []
        both = offering("both", gateway_payment_changed=lambda payment, event: seen.append(payment.id + event.type))
        one = offering("one", gateway_payment_changed=lambda event: seen.append(event.type))
        registry = load(both, one)
        assert registry.has_observers
        registry.observe(self.PAYMENT, self.EVENT)
        assert sorted(seen) == ["pay_1payment.captured", "payment.captured"]

    def test_without_observers_nobody_is_to_be_told(self) -> None:
        """Most gateways have none."""
        assert not load(offering("silent")).has_observers

    def test_an_error_of_one_observer_stops_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged with the plugin's name and without its text, and the others are told."""
        seen: list[str] = []

        def fail(payment: Payment) -> None:
            raise ValueError(f"secret of {payment.id}")

        def tell(name: str) -> ModuleType:
            return offering(name, gateway_payment_changed=lambda event: seen.append(name + event.type))

        registry = load(tell("before "), offering("fail", gateway_payment_changed=fail), tell("after "))
        with caplog.at_level(logging.ERROR):
            registry.observe(self.PAYMENT, self.EVENT)
        assert seen == ["before payment.captured", "after payment.captured"]
        (record,) = caplog.records
        assert (record.plugin, record.payment_id, record.error) == ("fail", "pay_1", "ValueError")
        assert "secret" not in caplog.text


def test_an_entry_point_may_be_of_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """importlib_metadata, once anything has imported it, finds them with a class of its own."""

    class Found:
        def __init__(self, point: EntryPoint) -> None:
            self.name, self.value, self.group, self.module = point.name, point.value, point.group, point.module
            self.load, self.dist = point.load, point.dist

    monkeypatch.setattr(plugin_registry, "installed", lambda: [Found(point) for point in installed()])
    loaded = load_plugins().plugins
    assert [(one.name, one.distribution) for one in loaded] == [(name, "tenant-payment-gateway") for name in BUNDLED]
