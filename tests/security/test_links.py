"""Our own links, which Credit Key and its customers are given: one payment, purpose and account each, unforgeable."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import permutations
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from tests.security.three_tenants import ThreeTenants, three_tenants, wait_until_idle
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, creditkey_body, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINK = re.compile(r"/callbacks/([A-Za-z0-9_-]+)/(return|cancel|complete)/([A-Za-z0-9_-]+)")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PURPOSES = ("return", "cancel", "complete")


class Links:
    """A payment of acme, its links by purpose as (endpoint id, token), and the endpoint ids of all accounts."""

    def __init__(self, stack: GatewayStack, payment: Any, links: dict[str, tuple[str, str]]) -> None:
        self.stack, self.payment, self.links = stack, payment, links
        self.endpoint = links["return"][0]
        self.others = [one for one in stack.settings.endpoints if one != self.endpoint]

    async def nothing_behind(self, paths: list[str], method: str = "GET") -> None:
        """Each address is one that leads nowhere: the same answer, no lookup, no stored row, nothing moved."""
        before, asked = ThreeTenants(self.stack).rows(), await creditkey.lookups(self.stack, self.payment)
        answers = {path: await self._status(method, path) for path in paths}
        assert {path: status for path, status in answers.items() if status != 404} == {}
        await self.stack.gateway.tasks.drain(10)
        assert ThreeTenants(self.stack).rows() == before
        assert await creditkey.lookups(self.stack, self.payment) == asked

    async def _status(self, method: str, path: str) -> int:
        url = URL(self.stack.url + path, encoded=True)
        async with self.stack.http.request(method, url, allow_redirects=False) as answer:
            return answer.status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def links(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Links]:
    """A payment whose customer has the link."""
    async with running_stack(tmp_path_factory.mktemp("links"), change=three_tenants) as stack:
        payment = (await stack.create(creditkey_body())).json
        requests = json.dumps(await stack.provider_requests("creditkey")).replace("\\/", "/")
        found = {purpose: (endpoint, token) for endpoint, purpose, token in LINK.findall(requests)}
        assert set(found) == set(PURPOSES)
        await wait_until_idle(stack)
        yield Links(stack, payment, found)


def bits_flipped(token: str) -> Iterator[str]:
    """The token with each bit of its bytes flipped."""
    data = base64.urlsafe_b64decode(token + "=")
    for bit in range(8 * len(data)):
        changed = (int.from_bytes(data) ^ 1 << bit).to_bytes(len(data))
        yield base64.urlsafe_b64encode(changed).rstrip(b"=").decode()


def misspelt(token: str) -> Iterator[str]:
    """The token with each character replaced by the next one in the alphabet, and in other spellings."""
    for place, character in enumerate(token):
        yield token[:place] + ALPHABET[ALPHABET.index(character) ^ 1] + token[place + 1 :]
    yield from (token[:-1], token[1:], token[:-2], token + "A", "A" + token, token + "=", token + "==", token + "%3D")
    yield from (
        token.lower(),
        token.upper(),
        token.swapcase(),
        token[::-1],
        token + "/",
        f"{token}/{token}",
        token + "%2f",
    )
    yield from (
        token + "%00",
        token + "%20",
        "%20" + token,
        token + "%0a",
        token + ".",
        token + ";x=1",
        "A" * 43,
        "-" * 43,
    )


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_token_with_any_bit_flipped_opens_nothing(links: Links, purpose: str) -> None:
    """Each of its 256 bits counts."""
    endpoint, token = links.links[purpose]
    await links.nothing_behind([f"/callbacks/{endpoint}/{purpose}/{one}" for one in bits_flipped(token)])


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_token_has_one_spelling(links: Links, purpose: str) -> None:
    """Other characters, paddings, cases and lengths open nothing, also where they would decode to the same bytes."""
    endpoint, token = links.links[purpose]
    await links.nothing_behind([f"/callbacks/{endpoint}/{purpose}/{one}" for one in misspelt(token)])


async def test_a_token_is_for_its_purpose_alone(links: Links) -> None:
    """A customer's return link cannot be used to complete, nor the other way round."""
    swapped = [f"/callbacks/{links.endpoint}/{to}/{links.links[of][1]}" for of, to in permutations(PURPOSES, 2)]
    bent = [
        f"/callbacks/{links.endpoint}/{name}/{links.links['return'][1]}" for name in ("Complete", "complete%2f..", "")
    ]
    await links.nothing_behind(swapped)
    for path in bent:  # not one of our links at all: the provider's own answer
        async with links.stack.http.get(URL(links.stack.url + path, encoded=True)) as answer:
            assert 400 <= answer.status < 500
    assert (await links.stack.payment(links.payment["id"]))["state"] == "awaiting_customer"


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_token_is_for_its_account_alone(links: Links, purpose: str) -> None:
    """At the address of another account or tenant, or of none, it opens nothing."""
    _, token = links.links[purpose]
    nonexistent = [links.endpoint[:-1], links.endpoint + "A", links.endpoint.swapcase(), "A" * 43]
    await links.nothing_behind([f"/callbacks/{one}/{purpose}/{token}" for one in (*links.others, *nonexistent)])


async def test_the_links_work_as_they_are(links: Links) -> None:
    """The cases above mean something: each link as it was given is answered, under its own methods only."""
    for purpose, (endpoint, token) in links.links.items():
        path = f"{links.stack.url}/callbacks/{endpoint}/{purpose}/{token}"
        async with links.stack.http.get(path, allow_redirects=False) as answer:
            assert answer.status == (200 if purpose == "complete" else 303)
        async with links.stack.http.request("DELETE", path, allow_redirects=False) as answer:
            assert answer.status == 405
    await links.stack.gateway.tasks.drain(10)
