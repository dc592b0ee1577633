"""The example settings: each runs as its page types it, and what is sent is what its files say.

Bodies on the wire, webhooks and mapped answers are compared as text. What no run can repeat is put in openly, by
``stated`` and ``as_explained``: ports as in the settings, the payment's id as ``map explain`` shows it, one time for
all times, one key for all orders at Credit Key, secrets as stars, and a sign made anew over that id by the second
verifier, after it has accepted the one that was sent.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
import standardwebhooks

from gateway.cli.loading import Configuration, load
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry
from tests.security.json_scanner import scan
from tests.security.psp_verifier import signed, string_a
from tests.support.cli import run
from tests.support.docs_pages import ROOT, text_of
from tests.support.docs_runner import Step, Webhooks, run_steps, settings_running, steps_in

GALLERY = "examples/settings"
EXAMPLES = sorted(file.parent.name for file in (ROOT / GALLERY).glob("*/settings.yaml"))
UNREPEATABLE = {
    r"pay_[0-9a-f]{32}": "pay_" + "0" * 32,
    r"CK-\w+": "CK-1",
    r"(?<=/pay/)[0-9a-f]{32}": "1",
    r"(?<=/)[\w-]{22,}(?=\?key=)": "TOKEN",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "2026-01-01T00:00:00Z",
}
KEY = re.compile(r"Bearer \w+[\w-]+")
shared = pytest.mark.asyncio(loop_scope="module")


class Played(NamedTuple):
    """What came of an example's commands.

    ``sent`` are the providers' requests, each with its account; ``webhooks`` headers and bodies; ``answers`` the list
    of payments, by file and its reply map.
    """

    folder: Path
    loaded: Configuration
    ports: Mapping[str, int]
    differences: list[str]
    sent: list[tuple[AccountEntry, dict[str, Any]]]
    webhooks: list[tuple[dict[str, str], bytes]]
    answers: dict[str, str]

    def promised(self, folder: str) -> dict[str, str]:
        """The texts of an example's files in one folder, by path."""
        files = sorted((self.folder / folder).rglob("*.json"))
        return {str(file.relative_to(self.folder / folder)): file.read_text().strip() for file in files}


def section(example: str) -> list[Step]:
    """The commands of an example on the page, up to the next example's."""
    page = text_of(f"{GALLERY}/README.md")
    return steps_in(page[page.index(f"\n## {example}\n") :].split("\n## ", 2)[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=EXAMPLES)
async def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    """An example that was played from its page, in a copy of its folder."""
    if shutil.which("curl") is None:
        pytest.skip("the page types curl")
    root, commands, webhooks = tmp_path_factory.mktemp("gallery"), section(request.param), Webhooks()
    folder = root / GALLERY / request.param
    shutil.copytree(ROOT / GALLERY / request.param, folder)
    path = folder / "settings.yaml"
    async with settings_running(path.read_text(), path, webhooks) as (server, ports), aiohttp.ClientSession() as http:
        differences, loaded = await run_steps(commands, ports, root), load(path)
        sent = [one for port in ("9101", "9102") for one in await requests_at(http, ports[port])]
        by_account = [(account_of(one, loaded), one) for one in sent]
        found = Played(folder, loaded, ports, differences, by_account, [], {})
        async with asyncio.timeout(10):
            found.webhooks.extend([await webhooks.get() for _ in found.promised("webhooks")])
        for file in found.promised("answers"):
            listed = f"{server.url}/v1/payments?reply={Path(file).stem}"
            key = next(filter(None, (KEY.search(step.script) for step in commands)))
            async with http.get(listed, headers={"Authorization": key[0]}) as answer:
                found.answers[file] = stated(await answer.text(), ports)
    yield found


async def requests_at(http: aiohttp.ClientSession, port: int) -> list[dict[str, Any]]:
    """The requests with a body that reached a simulator, in order."""
    async with http.get(f"http://127.0.0.1:{port}/_sim/requests") as answer:
        return [one for one in await answer.json() if one["body"]]


def account_of(request: Mapping[str, Any], loaded: Configuration) -> AccountEntry:
    """The account whose credentials a request has."""
    text = json.dumps(request)
    (found,) = [entry for entry in loaded.entries if all(secret in text for secret in secrets_of(entry))]
    return found


def secrets_of(entry: AccountEntry) -> list[str]:
    """What an account proves itself with."""
    if entry.provider.name == "psp_open_api":
        token = entry.credentials["token"]
        assert isinstance(token, Secret)
        return [token.reveal()]
    return [entry.account.config.public_key.reveal(), entry.account.config.shared_secret.reveal()]


def stated(text: str, ports: Mapping[str, int]) -> str:
    """A text with the documented ports, and with everything that no run can repeat replaced."""
    documented = {str(port): name for name, port in ports.items()}
    text = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: documented[port[0]], text)
    for pattern, constant in UNREPEATABLE.items():
        text = re.sub(pattern, constant, text)
    return text


def as_explained(entry: AccountEntry, request: Mapping[str, Any], ports: Mapping[str, int]) -> str:
    """The body of a request as ``map explain`` shows it. Fails where a second verifier does not accept its sign."""
    body = stated(request["body"], ports)
    if entry.provider.name == "creditkey":
        for secret in secrets_of(entry):
            body = body.replace(json.dumps(secret), '"***"')
        return body
    key = entry.account.fields.key("sign")
    sent, anew = sign_of(request["body"], entry, key), sign_of(body, entry, key)
    assert json.loads(request["body"])[key] == sent
    return body.replace(sent, anew)


def sign_of(body: str, entry: AccountEntry, key: str) -> str:
    """The sign that a body must have, by code of its own."""
    members = scan(body.encode())
    assert isinstance(members, dict)
    text, _ = string_a({name: value for name, value in members.items() if name != key}, canonical=True)
    return signed(text, secrets_of(entry)[0])


@shared
async def test_an_example_runs_as_its_page_types_it(played: Played) -> None:
    """Every command ends well, and every answer shown is the answer given."""
    assert played.differences == []


@shared
async def test_providers_receive_what_the_files_say(played: Played) -> None:
    """Each body on the wire, whole and exact: all that are promised and no other."""
    sent = [(entry.name, as_explained(entry, request, played.ports)) for entry, request in played.sent]
    promised = [(file.partition("/")[0], text) for file, text in played.promised("expected").items()]
    assert sorted(sent) == sorted(promised)


@shared
async def test_what_is_explained_is_what_is_sent(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each explanation on the page has the body that was sent for the same request."""
    monkeypatch.chdir(played.folder)
    explained = explanations(played, "--request")
    assert explained
    for line, shown in explained:
        account, request = line[2].partition("/")[2], Path(line[-1]).name
        assert stated(shown["body"], played.ports) == played.promised("expected")[f"{account}/{request}"]


@shared
async def test_what_replies_explain_is_what_is_sent(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows of reply maps, word for word, is in an answer or a webhook."""
    monkeypatch.chdir(played.folder)
    sent = [*played.promised("answers").values(), *played.promised("webhooks").values()]
    explained = explanations(played, "--reply")
    assert bool(explained) == bool(sent)
    bodies = [one["body"] for _, shown in explained for one in shown["replies"]]
    assert [body for body in bodies if not any(body in text for text in sent)] == []


def explanations(played: Played, option: str) -> list[tuple[list[str], Any]]:
    """The arguments of each ``map explain`` on an example's page that ends with this option, and what it prints."""
    scripts = "\n".join(step.script for step in section(played.folder.name))
    lines = [shlex.split(one) for one in re.findall(r"^gateway (map explain .*)$", scripts, re.MULTILINE)]
    return [(line, json.loads(run(*line, "--json").stdout)) for line in lines if line[-2] == option]


@shared
async def test_tenants_read_what_the_files_say(played: Played) -> None:
    """Answers under own names, and webhooks, each verified by the reference library: whole and exact."""
    (tenant,) = played.loaded.settings.tenants.values()
    for headers, body in played.webhooks:
        assert tenant.webhook is not None
        standardwebhooks.Webhook(tenant.webhook.secrets[0].reveal()).verify(body, headers)
    bodies = [stated(body.decode(), played.ports) for _, body in played.webhooks]
    assert bodies == list(played.promised("webhooks").values())
    assert played.answers == played.promised("answers")


@pytest.mark.parametrize("example", EXAMPLES)
def test_editors_find_the_schema(example: str) -> None:
    """The first line of each example leads an editor to the schema of the repository."""
    file = ROOT / GALLERY / example / "settings.yaml"
    named = file.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == ROOT / "settings.schema.json"
