"""A store is used with one ``server.secret`` after another, and never with a wrong one."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import SettingsError
from gateway.flows.background.secret_fingerprint import NOT_THE_STORES
from tests.support.cli import run
from tests.support.factories.settings import problems
from tests.support.server_process import running_server_process
from tests.support.settings_file import reload, with_operator
from tests.support.stack import running_stack

FIRST, SECOND, THIRD = (f"the {name} secret of this store, long enough" for name in ("first", "second", "third"))


def with_secrets(*secrets: str) -> Any:
    """Settings with these master secrets: in the form of one, or of several."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        server = settings["server"]
        server.pop("secret", None)
        server.pop("secrets", None)
        server |= {"secret": secrets[0]} if len(secrets) == 1 else {"secrets": list(secrets)}

    return change


async def starts(folder: Path, *secrets: str) -> bool:
    """Start and stop on the store of this folder; whether it may be used with these secrets."""
    try:
        async with running_stack(folder, change=with_secrets(*secrets)):
            return True
    except SettingsError as refused:
        if NOT_THE_STORES not in str(refused):
            raise
        return False


async def test_a_store_is_used_with_the_secret_it_knows(tmp_path: Path) -> None:
    """Another one is refused until it was listed first; after that the one before may go, and alone is refused."""
    tried = [(FIRST,), (SECOND,), (FIRST,), (SECOND, FIRST), (FIRST,), (THIRD, FIRST), (SECOND,), (SECOND, SECOND[1:])]
    assert [await starts(tmp_path, *secrets) for secrets in tried] == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]


async def test_a_secret_that_is_listed_second_changes_nothing_yet(tmp_path: Path) -> None:
    """It is accepted, so that providers can be told; the store keeps the first."""
    tried = [(FIRST,), (FIRST, SECOND), (SECOND,), (FIRST,)]
    assert [await starts(tmp_path, *secrets) for secrets in tried] == [True, True, False, True]


async def test_a_store_from_before_and_the_secret_itself(tmp_path: Path) -> None:
    """A store without a fingerprint gets one without a word; what is kept shows nothing of the secret."""
    async with running_stack(tmp_path, change=with_secrets(FIRST)) as stack:
        store = stack.store_file
    with sqlite3.connect(store) as connection:
        [[kept]] = connection.execute("SELECT name FROM moments").fetchall()
        connection.execute("DELETE FROM moments")
    assert FIRST not in kept
    assert len(kept) == len("used with secret ") + 43
    assert await starts(tmp_path, SECOND)


async def test_serve_ends_with_two_and_names_the_line(tmp_path: Path) -> None:
    """``gateway serve`` with a wrong secret says so in one line and touches nothing."""
    async with running_server_process(tmp_path, with_secrets(FIRST)) as server:
        await server.start()
        assert await server.end() == 0
        text = server.config.read_text()
        server.config.write_text(text.replace(FIRST, SECOND))
        code, output, errors = await server.run("serve")
    assert (code, output) == (2, "")
    line = 1 + text[: text.index(FIRST)].count("\n")
    assert errors.splitlines()[-1] == f"settings.yaml:{line}: server.secret: {NOT_THE_STORES}"
    assert FIRST not in errors
    assert SECOND not in errors


async def test_a_reload_is_held_to_it_too(tmp_path: Path) -> None:
    """A wrong secret waits for a restart, which will refuse it; a list with the right one becomes current."""
    async with running_stack(tmp_path, change=with_secrets(FIRST)) as stack:
        for wrong in ((SECOND,), (SECOND, THIRD)):
            assert (await reload(stack, with_secrets(*wrong))).json["needs_restart"] == ["server.secret"]
        assert stack.gateway.settings.server.secret.reveal() == FIRST
        assert (await reload(stack, with_secrets(SECOND, FIRST))).json["hash"] == stack.gateway.settings.digest
        assert stack.gateway.settings.server.secret.reveal() == SECOND
    assert not await starts(tmp_path, FIRST)
    assert await starts(tmp_path, SECOND)


async def test_a_lost_secret_is_forgotten_on_purpose(tmp_path: Path) -> None:
    """``gateway recover --forget-secret`` lets the next start take another one."""
    assert await starts(tmp_path, FIRST)
    assert not await starts(tmp_path, SECOND)
    done = await asyncio.to_thread(run, "recover", "--forget-secret", "--config", tmp_path / "settings.yaml")
    assert done.exit_code == 0
    assert await starts(tmp_path, SECOND)
    assert not await starts(tmp_path, FIRST)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("{development: true}", "server.secret: is missing"),
        ("{secret: , development: true}", "server.secret: is missing"),
        ("{secret: '', development: true}", "server.secret: must not be empty"),
        ("{secrets: [''], development: true}", "server.secrets[0]: must not be empty"),
        ("{secrets: [abc, null], development: true}", "server.secrets[1]: must"),
        ("{secret: abc, secrets: [abc], development: true}", "server.secrets: is given beside server.secret: list"),
        ("{secrets: [], development: true}", "server.secrets: must not be an empty list"),
        ("{secrets: [abc, abc], development: true}", "server.secrets: must not have the same secret twice"),
        ("{secrets: [a, b, c, d, e], development: true}", "server.secrets: must not have more than 4 secrets"),
        ("{secrets: [abc]}", "server.secrets[0]: is a literal secret"),
        ("{secrets: [env:GATEWAY_NEW]}", "server.secrets[0]: environment variable GATEWAY_NEW is not set"),
    ],
)
def test_both_forms_neither_or_a_bad_list(tmp_path: Path, server: str, said: str) -> None:
    """Each is a mistake with its line, and the only one."""
    [line] = problems(tmp_path, f"currencies: {{}}\nserver: {server}\n")
    assert f"settings.yaml:2: {said}" in line
