"""The one rule of URLs, as a table: what it says of each, and that everybody who takes a URL says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.core.plugin_returns import page_problem
from gateway.core.urls import (
    NO_HOST,
    NOT_ABSOLUTE,
    NOT_PLAIN,
    base_url,
    is_address,
    origin_of,
    page_url,
    redirect_problem,
)
from gateway.core.validation import MAX_ORIGINS_NAMED, url_problems
from gateway.drivers.settings.urls import NOT_AN_ORIGIN
from tests.support.factories.settings import load, problems, with_account, with_tenant

USER = "must not carry a user name or password"
IDN = "must be ASCII: write its host as "
PERCENT = 'must be ASCII: percent-encode other characters, such as "ä" as %C3%A4'

TAKEN = [
    ("https://shop.example", "https://shop.example"),
    ("https://shop.example/paid?x=1#y", "https://shop.example"),
    ("HTTPS://SHOP.Example/", "https://shop.example"),
    ("https://shop.example:443/", "https://shop.example"),
    ("http://shop.example:80", "http://shop.example"),
    ("http://shop.example:443", "http://shop.example:443"),
    ("https://shop.example:8443", "https://shop.example:8443"),
    ("https://shop.example:/x", "https://shop.example"),
    ("https://shop.example./", "https://shop.example"),
    ("https://pay.shop.example?amount=100&currency=USD", "https://pay.shop.example"),
    ("https://xn--exmple-cua.example/", "https://xn--exmple-cua.example"),
    ("http://my_service:8080/", "http://my_service:8080"),
    ("http://localhost:3000/a%20b?c=%C3%A4", "http://localhost:3000"),
    ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
    ("http://[::1]:9101/", "http://[::1]:9101"),
    ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]"),
    ("http://[2001:DB8::A]/", "http://[2001:db8::a]"),
    ("https://pay.example/%CKKEY%/x", "https://pay.example"),
]
REFUSED = [
    ("", NOT_ABSOLUTE),
    ("shop.example", NOT_ABSOLUTE),
    ("/paid", NOT_ABSOLUTE),
    ("//shop.example/", NOT_ABSOLUTE),
    ("https:/shop.example", NOT_ABSOLUTE),
    ("https:///shop.example", NOT_ABSOLUTE),
    ("ftp://shop.example", NOT_ABSOLUTE),
    ("javascript:alert(1)", NOT_ABSOLUTE),
    ("https://shop.example:0/", NOT_ABSOLUTE),
    ("https://shop.example:70000/", NOT_ABSOLUTE),
    ("https://shop.example:8o8o/", NOT_ABSOLUTE),
    ("https://[::1/", NOT_ABSOLUTE),
    ("https://dana@shop.example/", USER),
    ("https://dana:pass@shop.example/", USER),
    ("https://@shop.example/", USER),
    ("https://shop.example/a b", NOT_PLAIN),
    (" https://shop.example", NOT_PLAIN),
    ("https://shop.example/\t", NOT_PLAIN),
    ("https://shop.example/\r\nSet-Cookie: a=b", NOT_PLAIN),
    ("https://shop.example/\x00", NOT_PLAIN),
    ("https://shop.example/#\x7f", NOT_PLAIN),
    ("https://evil.example\\@shop.example/", NOT_PLAIN),
    ("https://shop.example/\u200b", NOT_PLAIN),
    ("https://shop.exämple/", IDN + "shop.xn--exmple-cua"),
    ("https://STRASSE.exämple:8443/ä", IDN + "strasse.xn--exmple-cua"),
    ("https://straße.example/", IDN + "xn--strae-oqa.example"),
    ("https://магазин.example", IDN + "xn--80aairftm.example"),
    ("https://shop。example/", IDN + "shop.example"),
    ("https://shop.example/zurück-ä", PERCENT.replace("ä", "ü").replace("A4", "BC")),
    ("https://shop.example/?q=ä", PERCENT),
    ("https://shop.example/#ä", PERCENT),
    ("https://*.shop.example", NO_HOST),
    ("https://*", NO_HOST),
    ("https://shop.*", NO_HOST),
    ("https://a..b", NO_HOST),
    ("https://.shop.example", NO_HOST),
    ("https://shop.example..", NO_HOST),
    ("https://-shop.example", NO_HOST),
    ("https://shop-.example", NO_HOST),
    ("https://{tenant}.shop.example", NO_HOST),
    ("https://$HOST", NO_HOST),
    ("https://%HOST%/", NO_HOST),
    ("https://<host>/", NO_HOST),
    ("https://shop.example%20", NO_HOST),
    ("https://shop%2Eexample", NO_HOST),
    ("https://shop.example|x", NO_HOST),
    ("https://erp,shop.example", NO_HOST),
    ("https://shop.example;x", NO_HOST),
    ("https://" + "a" * 64 + ".example", NO_HOST),
    ("https://127.1/", NO_HOST),
    ("https://2130706433/", NO_HOST),
    ("https://0x7f.0.0.1/", NO_HOST),
    ("https://0177.0.0.1/", NO_HOST),
    ("https://127.0.0.1./", NO_HOST),
    ("https://1.2.3.256/", NO_HOST),
    ("https://[fe80::1%25eth0]/", NO_HOST),
]


@pytest.mark.parametrize(("url", "origin"), TAKEN)
def test_a_url_that_is_taken_has_one_origin(url: str, origin: str) -> None:
    """However it is spelled, the same place has the same origin."""
    page_url(url)
    assert origin_of(url) == origin


@pytest.mark.parametrize(("url", "said"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_a_url_that_is_refused_says_what_would_be_right(url: str, said: str) -> None:
    """Such a URL has no origin, so it never compares equal to anything."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        page_url(url)
    assert origin_of(url) is None


@pytest.mark.parametrize(("url", "said"), [row for row in REFUSED if row[0]], ids=lambda value: ascii(value)[:40])
def test_everybody_says_the_same(url: str, said: str) -> None:
    """Tenants and providers hear the sentence that the settings would show."""
    assert url_problems("$.return_url", url, {"https://shop.example"}) == [("$.return_url", said)]
    assert page_problem(url, development=True) == said


@pytest.mark.parametrize(("url", "said"), [row for row in REFUSED if row[0]], ids=lambda value: ascii(value)[:40])
def test_an_address_that_paths_are_appended_to_says_the_same(url: str, said: str) -> None:
    """A plugin's ``base_url`` hears the sentence that the settings would show."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        base_url(url)


@pytest.mark.parametrize("end", ["?", "?a=1", "#", "#x"])
def test_an_address_that_paths_are_appended_to_ends_with_its_path(end: str) -> None:
    """A query or a fragment would swallow the path behind it; slashes at the end are taken off."""
    with pytest.raises(ValueError, match=r"^app_url must not have a"):
        base_url(f"https://api.example/v1{end}", "app_url")
    assert base_url("https://api.example/v1//") == "https://api.example/v1"
    with pytest.raises(ValueError, match=r"^must not have a"):
        base_url(f"https://api.example/v1{end}")


@pytest.mark.parametrize(
    ("url", "given", "said"),
    [
        ("https://pay.example/1#step", {}, None),
        ("", {}, "is empty"),
        ("https://pay.example/" + "a" * 2029, {}, "must have at most 2048 characters"),
        ("http://pay.example/1", {}, "must be https; it is http on pay.example"),
        ("http://127.0.0.1/1", {}, "must be https; it is http on 127.0.0.1"),
        ("http://localhost/1", {"http": "loopback"}, None),
        ("http://[::1]/1", {"http": "loopback"}, None),
        ("http://pay.example/1", {"http": "loopback"}, "must be https; it is http on pay.example"),
        ("http://pay.example/1", {"http": "allowed"}, None),
        ("https://PAY.example./1", {"hosts": ["pay.example"]}, None),
        ("https://pay.example/1", {"hosts": ["Pay.Example."]}, None),
        (
            "https://evil.example/1",
            {"hosts": ["pay.example"]},
            "is on evil.example, which is not among the allowed hosts",
        ),
    ],
)
def test_a_page_is_checked_for_a_plugin(url: str, given: dict[str, Any], said: str | None) -> None:
    """The gateway's own rule; a plugin may accept plain http in addition, or name the hosts."""
    assert redirect_problem(url, **given) == said


KEYS = {
    "server.public_url": "server: {secret: 'env:GATEWAY_SECRET', public_url: 'URL'}",
    "egress.proxy": "server: {secret: 'env:GATEWAY_SECRET'}\negress: {proxy: 'URL'}",
    "tenant acme: return_origins[0]": with_tenant("return_origins: ['URL']"),
    "tenant acme: webhook.url": with_tenant("webhook: {url: 'URL', secrets: ['env:ACME_WHSEC']}"),
    "tenant acme: accounts.main.config.app_url": with_account("{provider: plain, config: {app_url: 'URL'}}"),
    "tenant acme: accounts.main.config.base_url": with_account("{provider: either, config: {base_url: 'URL'}}"),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://*.acme.example", NO_HOST),
        ("https://a..b", NO_HOST),
        ("https://{tenant}.acme.example", NO_HOST),
        ("https://erp.acme.example|x", NO_HOST),
        ("https://acme.exämple", IDN + "acme.xn--exmple-cua"),
        ("https://dana@acme.example", USER),
        ("https://acme.example/ä", PERCENT),
        ("acme.example", NOT_ABSOLUTE),
    ],
)
def test_every_url_of_the_settings_has_the_same_rule(tmp_path: Path, key: str, url: str, said: str) -> None:
    """With file, line and key; what is no URL is told what an origin looks like where one is wanted."""
    if said == NOT_ABSOLUTE and "origins" in key:
        said = NOT_AN_ORIGIN
    [line] = problems(tmp_path, KEYS[key].replace("URL", url))
    assert re.fullmatch(rf"settings\.yaml:\d+: {re.escape(f'{key}: {said}')}", line)


@pytest.mark.parametrize("text", ["https://acme.example?", "https://acme.example#", "https://acme.example/x"])
def test_an_origin_ends_with_its_host(tmp_path: Path, text: str) -> None:
    """Also an empty query or fragment is more than an origin."""
    [line] = problems(tmp_path, with_tenant(f"return_origins: ['{text}']"))
    assert "return_origins[0]: must be an origin such as" in line


def test_an_empty_query_of_the_public_url_is_a_query(tmp_path: Path) -> None:
    """Everything that is appended would stand in it."""
    [line] = problems(tmp_path, "server: {secret: 'env:GATEWAY_SECRET', public_url: 'https://pay.example/?'}")
    assert line.endswith("server.public_url: must not have a query")


def test_a_return_url_elsewhere_names_the_origins() -> None:
    """All of them while they fit on a line, and what to do where there are none."""
    said = dict(url_problems("$.return_url", "https://evil.example/", {"https://b.example", "https://a.example"}))
    assert said["$.return_url"] == (
        "is not on an origin registered for this tenant; registered origins: https://a.example, https://b.example"
    )
    many = [f"https://s{number:03}.example" for number in range(MAX_ORIGINS_NAMED + 7)]
    [(_, long)] = url_problems("$.return_url", "https://evil.example/", many)
    assert long.endswith(f"{many[MAX_ORIGINS_NAMED - 1]} and 7 more")
    [(_, none)] = url_problems("$.return_url", "https://evil.example/", ())
    assert none.endswith("no origin is registered: the gateway's operator adds them to return_origins")


LISTEN = [
    ("127.0.0.1", "127.0.0.1"),
    ("0.0.0.0", "0.0.0.0"),
    ("::", "::"),
    ("::1", "::1"),
    ("[::1]", "::1"),
    ("[::]", "::"),
    ("localhost", "localhost"),
    ("gateway.internal", "gateway.internal"),
]
NOT_A_HOST = (
    " ",
    "127.0.0.1 ",
    "[127.0.0.1]",
    "[::1",
    "::1]",
    "[localhost]",
    "::1%lo",
    "[fe80::1%eth0]",
    "localhost:8080",
    "127.0.0.1:8080",
    "[::1]:8080",
    "http://127.0.0.1",
    "https://pay.example/",
    "127.0.0.1/24",
    "*",
    "0",
    "0x7f.1",
    "127.1",
    "a..b",
    "exämple",
)


@pytest.mark.parametrize("section", ["host: {0}", "admin: {{host: {0}}}"])
@pytest.mark.parametrize(("text", "host"), LISTEN)
def test_what_can_be_listened_on(tmp_path: Path, section: str, text: str, host: str) -> None:
    """An IPv6 address may be copied from a URL with its brackets."""
    server = load(tmp_path, f"server: {{secret: 'env:GATEWAY_SECRET', {section.format(repr(text))}}}").server
    assert host in (server.host, server.admin.host)


@pytest.mark.parametrize(("key", "section"), [("host", "host: {0}"), ("admin.host", "admin: {{host: {0}}}")])
@pytest.mark.parametrize("text", NOT_A_HOST)
def test_what_is_not_a_host_is_refused_at_load(tmp_path: Path, key: str, section: str, text: str) -> None:
    """With file, line and key, instead of a resolver's error when the server starts."""
    [line] = problems(tmp_path, f"server:\n  secret: env:GATEWAY_SECRET\n  {section.format(repr(text))}\n")
    assert line.startswith(f"settings.yaml:3: server.{key}: must be an IP address or a host name")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "1.2.3.0x", "127.0.0.1.", "::1", "fe80::1%1"]
)
def test_what_is_read_as_an_address(host: str) -> None:
    """Every spelling that some program takes for an address."""
    assert is_address(host)


@pytest.mark.parametrize("host", ["shop.example", "1.example", "0x7f.example.", "localhost", "a1", "127.0.0.1.example"])
def test_what_is_a_name(host: str) -> None:
    """Numbers that do not stand at the end make no address."""
    assert not is_address(host)
