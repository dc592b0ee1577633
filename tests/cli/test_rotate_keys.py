"""``gateway keys rotate``: two keys that are both good, then the new one alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.loading import load
from gateway.core.signing import sha256_hex
from tests.support.cli import SHIPPED, run
from tests.support.scenarios.inbox import ADMIN_KEY
from tests.support.settings_file import reload, with_operator
from tests.support.stack import key_of, running_stack


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped settings, in a folder of their own."""
    return Path(shutil.copy(SHIPPED, tmp_path))


def rotate(config: Path, *options: str) -> Any:
    """Run the command; what it printed as JSON, or its error."""
    done = run("keys", "rotate", *options, "--json", "--config", config)
    return json.loads(done.stdout) if done.exit_code == 0 else (done.exit_code, done.stderr)


def test_a_tenants_key_is_replaced_in_two_steps(config: Path) -> None:
    """Both are good first, the old one with its end; then the new one alone. Nothing else in the file changes."""
    before = load(config).settings.tenants["acme"].keys
    made = rotate(config, "--tenant", "acme", "--expires", "7d")
    old, new = load(config).settings.tenants["acme"].keys
    assert (made["id"], made["replaces"], made["file"]) == ("k2", "k1", "settings.yaml")
    assert (old.id, old.sha256, new.sha256) == ("k1", before[0].sha256, sha256_hex(made["key"]))
    assert old.expires is not None
    assert timedelta(days=6.9) < old.expires - datetime.now(UTC) < timedelta(days=7)
    assert made["key"] not in config.read_text()
    changed = set(config.read_text().splitlines()) ^ set(SHIPPED.read_text().splitlines())
    assert len(changed) == 2
    done = rotate(config, "--tenant", "acme", "--finish")
    assert (done["removed"], done["kept"], done["uses"]) == (["k1"], "k2", None)
    assert load(config).settings.tenants["acme"].keys == (new,)
    assert rotate(config, "--tenant", "acme", "--finish")[0] == 1


def test_an_operators_key_keeps_its_owner_and_role(config: Path) -> None:
    """The single key of ``key_sha256`` gets a successor in the list, and goes."""
    assert rotate(config, "--admin")["id"] == "operator-2"
    assert "name: operator" in config.read_text()
    assert rotate(config, "--admin", "--finish")["removed"] == ["operator"]
    text = config.read_text()
    entry = "      - {id: dana, name: Dana R., sha256: " + "ab" * 32 + ", role: read}\n"
    config.write_text(text.replace("      - id: operator-2", f"{entry}      - id: operator-2"))
    made = rotate(config, "--admin", "--id", "dana")
    keys = {key.id: key for key in load(config).settings.server.admin.keys}
    assert [*keys] == ["dana", "operator-2", "dana-2"]
    assert (keys["dana-2"].name, keys["dana-2"].role, made["replaces"]) == ("Dana R.", "read", "dana")
    assert rotate(config, "--admin", "--finish")["removed"] == ["dana"]


def test_a_webhook_secret_is_replaced_in_two_steps(config: Path) -> None:
    """Webhooks are signed with both, then with the new one alone, which is in a file of its own."""
    before = load(config).settings.tenants["acme"].webhook
    made = rotate(config, "--tenant", "acme", "--webhook")
    both = load(config).settings.tenants["acme"].webhook
    assert before is not None
    assert both is not None
    assert [one.reveal() for one in both.secrets] == [before.secrets[0].reveal(), made["webhook_secret"]]
    file = config.parent / made["secret_file"]
    assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (made["webhook_secret"], 0o600)
    assert rotate(config, "--tenant", "acme", "--webhook", "--finish")["secrets_removed"] == 1
    after = load(config).settings.tenants["acme"].webhook
    assert after is not None
    assert [one.reveal() for one in after.secrets] == [made["webhook_secret"]]
    assert rotate(config, "--tenant", "acme", "--webhook", "--finish")[0] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say whose key to rotate: --tenant TENANT or --admin"),
        (["--tenant", "acme", "--admin"], "say whose key to rotate"),
        (["--tenant", "nobody"], 'there is no tenant "nobody"'),
        (["--tenant", "nobody", "--webhook"], 'there is no tenant "nobody"'),
        (["--tenant", "acme", "--id", "k9"], 'tenant acme: there is no key "k9"'),
        (["--admin", "--webhook"], "--webhook goes with --tenant and --finish alone"),
        (["--tenant", "acme", "--finish", "--expires", "7d"], "--finish ends the old one at once"),
        (["--tenant", "acme", "--expires", "soon"], "is not a date such as"),
        (["--tenant", "acme", "--expires", "2020-01-31"], "is in the past"),
        (["--admin", "--expires", "7d"], "server.admin.key_sha256 has no end"),
    ],
)
def test_bad_usage_changes_nothing(config: Path, options: list[str], said: str) -> None:
    """Each ends with 2 and a sentence."""
    code, errors = rotate(config, *options)
    assert (code, said in errors) == (2, True)
    assert config.read_text() == SHIPPED.read_text()


async def test_old_and_new_work_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reload both keys open the API; ``keys list`` and ``--finish`` say who still uses the old one."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with running_stack(tmp_path, change=with_operator) as stack:
        at = ("--admin-url", stack.admin_url)

        async def ask(key: str) -> int:
            sent = {"Authorization": f"Bearer {key}"}
            return (await stack.call("GET", "/v1/payments", tenant=None, headers=sent)).status

        made = await asyncio.to_thread(rotate, tmp_path / "settings.yaml", "--tenant", "acme")
        assert (await reload(stack)).status == 200
        assert [await ask(key) for key in (key_of("acme"), made["key"], made["key"])] == [200, 200, 200]
        listed = await asyncio.to_thread(run, "keys", "list", "--tenant", "acme", *at)
        rows = [line.split() for line in listed.stdout.splitlines()[1:]]
        assert [(row[1], row[3], row[5]) for row in rows] == [("acme", "k1", "1"), ("acme", "k2", "2")]
        done = await asyncio.to_thread(rotate, tmp_path / "settings.yaml", "--tenant", "acme", "--finish", *at)
        assert done["uses"]["k1"]["uses"] == 1
        assert (await reload(stack)).status == 200
        assert [await ask(key) for key in (key_of("acme"), made["key"])] == [401, 200]
