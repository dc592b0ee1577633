"""``gateway check``: what is usable, every problem, and what could be better."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from gateway.drivers.store.metadata import USED_WITH, set_only
from gateway.drivers.store.schema import VERSION
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import NO_TENANT
from tests.cli.test_migrate import on_postgresql
from tests.support.cli import SHIPPED, run, write
from tests.support.factories.releases import left_by_release
from tests.support.factories.store_units import stored
from tests.support.postgresql import shut

BAD = "server: {}\nbogus: 1\n"


def test_check_says_ok_and_sums_up() -> None:
    """The shipped settings are usable, and say so in two lines."""
    result = run("check", "--config", SHIPPED)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == "ok"
    assert second.endswith("2 tenants, 3 accounts, 2 deposit methods, 2 plugins")


def test_check_prints_every_problem_on_stderr(tmp_path: Path) -> None:
    """Unusable settings end with 2 and one line per problem; stdout stays empty."""
    (tmp_path / "bad.yaml").write_text(BAD)
    result = run("check", "--config", tmp_path / "bad.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["bad.yaml:1", "server.secret"],
        ["bad.yaml:2", "bogus"],
    ]


def test_check_as_json_lists_problems_on_stdout(tmp_path: Path) -> None:
    """With --json the problems are a list for programs, and the exit code is the same."""
    (tmp_path / "bad.yaml").write_text(BAD)
    result = run("check", "--json", "--config", tmp_path / "bad.yaml")
    assert result.exit_code == 2
    assert len(json.loads(result.stdout)["problems"]) == 2


def test_check_as_json_without_problems() -> None:
    """Usable settings have an empty list of problems."""
    result = run("check", "--json", "--config", SHIPPED)
    assert (result.exit_code, json.loads(result.stdout)["problems"]) == (0, [])


def test_check_looks_the_hosts_up(tmp_path: Path) -> None:
    """A name that ``serve`` could not listen on is a line of ``check``, for both listeners."""
    path = write(tmp_path, host="gateway.invalid", admin={"host": "admin.invalid", "port": 0})
    result = run("check", "--config", path)
    assert result.exit_code == 2
    assert [line.split(": ")[1:3] for line in result.stderr.splitlines()] == [
        ["server.host", "cannot listen on host gateway.invalid, port 0"],
        ["server.admin.host", "cannot listen on host admin.invalid, port 0"],
    ]


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_check_tries_the_addresses_to_listen_on(tmp_path: Path, host: str) -> None:
    """An address that is not one of this machine's would only fail when the gateway starts."""
    result = run("check", "--config", write(tmp_path, host=host))
    assert result.exit_code == 2
    assert re.match(rf"settings\.yaml:\d+: server\.host: cannot listen on host {host}, port 0: ", result.stderr)


def test_check_disturbs_no_gateway_that_runs(tmp_path: Path) -> None:
    """The ports of the settings may be taken: it is the addresses that are tried."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = write(tmp_path, port=taken.getsockname()[1])
        assert run("check", "--config", path).exit_code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "is not required: some bridges refuse payments without it "),
        ({"enabled": False}, "is switched off: some bridges refuse payments without it"),
        ({"required": True}, None),
        ({"value": "shop-1"}, None),
    ],
)
def test_check_advises_without_refusing(tmp_path: Path, change: dict[str, Any], said: str | None) -> None:
    """What could be better is a line on stderr, or a list for programs; the settings are usable all the same."""
    path = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    for tenant in settings["tenants"].values():
        tenant["accounts"]["psp-main"].setdefault("fields", {})["user_id"] = change
    path.write_text(yaml.safe_dump(settings))
    result = run("check", "--config", path)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "ok")
    wanted = [] if said is None else ["acme", "globex"]
    lines = result.stderr.splitlines()
    for line, tenant in zip(lines, wanted, strict=True):
        key = rf"tenant {tenant}: accounts\.psp-main\.fields\.user_id"
        assert re.match(rf"advice: settings\.yaml:\d+: {key}: {re.escape(said or '')}", line)
    told = json.loads(run("check", "--json", "--config", path).stdout)
    assert [f"advice: {line}" for line in told["advice"]] == lines


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("nationalty", {"enabled": False}, 'does nothing: it is switched off, .*; did you mean "nationality"'),
        ("amout", {"key": "total"}, 'is an additional parameter, and "amount" is sent as it is: did you mean that'),
        ("AMOUNT", {"key": "total"}, 'is an additional parameter, and "amount" is sent as it is: did you mean that'),
        ("user_ip", {"key": "ip"}, None),
        ("birthday", {"key": "dob"}, None),
    ],
)
def test_check_advises_where_a_field_s_name_is_almost_another_s(
    tmp_path: Path, name: str, change: dict[str, Any], said: str | None
) -> None:
    """Such a slip renames or switches off nothing, and asks customers for what no provider knows."""
    path = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    fields = settings["tenants"]["acme"]["accounts"]["psp-main"].setdefault("fields", {})
    fields |= {name: change, "user_id": {"required": True}}
    path.write_text(yaml.safe_dump(settings))
    result = run("check", "--config", path)
    lines = [line for line in result.stderr.splitlines() if f"fields.{name}: " in line]
    assert (result.exit_code, len(lines)) == (0, said is not None)
    assert all(re.search(said or "", line) for line in lines)


PROXY = "192.0.2.7/32"


@pytest.mark.parametrize(
    ("server", "addresses", "key", "said"),
    [
        ({}, [], "server.public_url", "is not given, so providers and browsers are sent to http://127.0.0.1:PORT"),
        ({"port": 8080}, [], "server.public_url", "sent to http://127.0.0.1:8080: write the https address"),
        ({"host": "::1", "port": 80}, [], "server.public_url", "sent to http://[::1]:80"),
        ({"public_url": "https://pay.example"}, [], None, ""),
        (
            {"public_url": "https://pay.example"},
            [PROXY],
            "config.source_addresses",
            "name it in server.trusted_proxies",
        ),
        ({"public_url": "https://pay.example", "trusted_proxies": [PROXY]}, [PROXY], None, ""),
    ],
)
def test_check_advises_how_the_world_reaches_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: dict[str, Any], addresses: list[str], key: str, said: str
) -> None:
    """Outside development, where a callback address that only this machine can call loses every payment's outcome."""
    monkeypatch.setenv("MASTER", "a master secret that is long enough")
    config = {"app_url": "https://psp.example", "source_addresses": addresses}
    account = {"provider": "psp_open_api", "config": config, "fields": {"user_id": {"required": True}}}
    whole = {"secret": "env:MASTER", "port": 0, "admin": {"port": 0}, **server}
    path = tmp_path / "settings.yaml"
    acme = {"accounts": {"main": account}, "deposit_methods": {"bank": {"account": "main"}}}
    path.write_text(yaml.safe_dump({"server": whole, "tenants": {"acme": acme}}))
    result = run("check", "--config", path)
    assert (result.exit_code, result.stdout.splitlines()[:1]) == (0, ["ok"])
    lines = result.stderr.splitlines()
    assert len(lines) == (key is not None)
    assert all(key in line and said in line for line in lines)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("amount >= `1000`", "compares amount"),
        ("currency == 'USD' && `5.5` > amount", "compares amount"),
        ("to_number(amount) >= `1000`", None),
        ("amount == '10.00' && metadata.boxes > `3`", None),
        ("curency == 'USD'", 'reads "curency", which is not there; did you mean "currency"?'),
        ('currency == "USD"', 'reads "USD", which is not there; known are merchant_reference, amount, currency'),
        ("customer.emial && order.items[0].price", 'reads "emial", which is not there; did you mean "email"?'),
        ("metadata.anything == 'x' && fields.custom_1", None),
    ],
)
def test_check_advises_on_rules_that_never_match(tmp_path: Path, when: str, said: str | None) -> None:
    """A text is never above a number, and what no create has is null: such a rule never chooses its account."""
    path = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    settings["tenants"]["acme"]["routing"] = [{"account": "psp-main", "when": when}]
    path.write_text(yaml.safe_dump(settings))
    result = run("check", "--config", path)
    lines = [line for line in result.stderr.splitlines() if "routing" in line]
    assert (result.exit_code, len(lines)) == (0, said is not None)
    wanted = rf"advice: settings\.yaml:\d+: tenant acme: routing\[0\]\.when: {re.escape(said or '')}"
    assert all(re.match(wanted, one) for one in lines)


def test_a_store_that_is_not_there_yet_is_made_by_the_first_start(tmp_path: Path) -> None:
    """Only with --store: without it nothing is said of one."""
    config = write(tmp_path)
    assert len(run("check", "--config", config).stdout.splitlines()) == 2
    looked = run("check", "--store", "--config", config)
    assert looked.exit_code == 0
    assert looked.stdout.splitlines()[2:] == ["store main: there are no tables yet, the first start makes them"]
    assert not (tmp_path / "data").exists()
    assert json.loads(run("check", "--store", "--json", "--config", config).stdout)["stores"] == {"main": None}


def test_an_older_file_is_brought_up_to_date_by_the_next_start(tmp_path: Path) -> None:
    """It is looked at and left as it is; one that nothing brings up to date ends with 4."""
    older = left_by_release(tmp_path / "data" / "gateway.db", 4)
    before, config = older.read_bytes(), write(tmp_path)
    looked = run("check", "--store", "--config", config)
    said = f"store main: its tables are of version 4, which the next start brings up to {VERSION}"
    assert (looked.exit_code, looked.stdout.splitlines()[-1]) == (0, said)
    assert older.read_bytes() == before
    with sqlite3.connect(older) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer = run("check", "--store", "--config", config)
    assert (newer.exit_code, newer.stdout) == (4, "")
    assert "made by a newer gateway" in newer.stderr


async def test_a_store_that_needs_other_settings_is_named(tmp_path: Path) -> None:
    """As a start would: the account of a payment that is still open, and the secret that the store was used with."""
    config = write(tmp_path)
    store = await open_sqlite(tmp_path / "data" / "gateway.db")
    await stored(store, 1, account="former", provider="creditkey")
    gone = await asyncio.to_thread(run, "check", "--store", "--config", config)
    assert (gone.exit_code, "accounts.former: is gone, but payments of it" in gone.stderr) == (2, True)
    assert gone.stderr.endswith("put it back until they have ended, with accepts_new: false\n")
    await store.commit(NO_TENANT, [*set_only(USED_WITH, "that of another", datetime.now(UTC))])
    await store.close()
    other = await asyncio.to_thread(run, "check", "--store", "--config", config)
    assert (other.exit_code, "is not the secret that this store was last used with" in other.stderr) == (2, True)
    assert (await asyncio.to_thread(run, "check", "--config", config)).exit_code == 0


def test_databases_are_looked_at_each(tmp_path: Path, database_url: str) -> None:
    """A start would find tables; without any it would make them; older ones and unreachable ones end with 4."""
    config = on_postgresql(tmp_path, database_url)
    looked = run("check", "--store", "--config", config)
    assert (looked.exit_code, looked.stdout.splitlines()[-1]) == (0, f"store main: its tables are of version {VERSION}")
    with psycopg.connect(database_url) as server:
        server.execute("UPDATE schema_version SET version = version - 1")
    older = run("check", "--store", "--config", config)
    assert (older.exit_code, older.stderr.count("\n")) == (4, 1)
    assert older.stderr.startswith(f"store main: the store is of version {VERSION - 1}, and this gateway needs version")
    assert older.stderr.endswith(": run gateway migrate\n")
    shut(database_url)
    gone = run("check", "--store", "--json", "--config", config)
    [problem] = json.loads(gone.stdout)["problems"]
    assert (gone.exit_code, problem.startswith("store main: ")) == (4, True)
    assert problem.endswith("is not currently accepting connections")
