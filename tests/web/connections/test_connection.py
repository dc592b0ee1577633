"""How long a connection may stay, what it may hold, and who goes when there are too many."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import NotSent
from gateway.core.facts import Recorded
from gateway.flows.callbacks import receive
from tests.support.clients.raw_http import (
    HALF_A_BODY,
    HALF_A_HEAD,
    LARGE,
    ONE,
    PATIENCE,
    Client,
    bounded_stack,
    client,
    get,
)
from tests.support.stack import GatewayStack, key_of, new_key, psp_body

SOON = 0.1
"""Seconds of the deadline under test."""

MANY_BYTES = get("/", *(f"X-{number}: {'x' * 600}" for number in range(50)))
"""A head of 30 kB whose lines are all short enough."""

KEY = f"Authorization: Bearer {key_of('acme')}"

JSON = b"Host: x\r\nContent-Type: application/json"
HALF_A_BODY_OF_ACME = HALF_A_BODY.replace(b"Host: x", f"Host: x\r\n{KEY}".encode())


async def idle(one: Client) -> None:
    """A request, its answer, and then nothing."""
    assert await one.ask() == 200


async def half_a_head(one: Client) -> None:
    """A head that does not end."""
    await one.send(HALF_A_HEAD)


async def silent(_: Client) -> None:
    """Not a byte."""


async def half_a_body(one: Client) -> None:
    """A body that does not end."""
    await one.send(HALF_A_BODY_OF_ACME)


async def unread(one: Client) -> None:
    """A long answer that nobody reads."""
    await one.send(get(LARGE))


KINDS: dict[Callable[[Client], Awaitable[None]], str] = {
    idle: "idle_connection",
    half_a_head: "request_head",
    silent: "request_head",
    half_a_body: "request_body",
    unread: "write",
}
"""What a client does that holds a connection, and the deadline that ends it."""


# Deadlines


@pytest.mark.parametrize("hold", KINDS, ids=lambda kind: kind.__name__)
async def test_nobody_holds_a_connection_longer_than_its_deadline(
    tmp_path: Path, hold: Callable[[Client], Awaitable[None]]
) -> None:
    """Each way to hold a connection has a deadline of its own, and the connection ends with it."""
    timeouts = {KINDS[hold]: SOON}
    async with bounded_stack(tmp_path, timeouts=timeouts) as stack, client(stack.url, receive_buffer=4096) as one:
        await hold(one)
        await one.closed()


async def test_short_answers_that_are_not_taken_go_as_well(tmp_path: Path) -> None:
    """Answers that wait in the kernel only, because the client does not read, end with the idle connection."""
    timeouts = {"idle_connection": SOON}
    async with bounded_stack(tmp_path, timeouts=timeouts) as stack, client(stack.url, receive_buffer=4096) as one:
        await one.send(ONE * 40)
        await one.closed()


async def test_an_operators_connection_has_the_same_deadlines(tmp_path: Path) -> None:
    """A body on the operators' listener that does not arrive is refused, and the connection ends."""
    async with bounded_stack(tmp_path, timeouts={"request_body": SOON}) as stack, client(stack.admin_url) as one:
        await one.send(HALF_A_BODY.replace(b"/v1/payments", b"/admin/v1/reviews/pay_x/resolve"))
        await one.closed()


async def test_an_answer_taken_in_sips_ends_too(tmp_path: Path) -> None:
    """A client that takes a little all the time does not keep a long answer going for ever."""
    timeouts = {"write": SOON}
    async with bounded_stack(tmp_path, timeouts=timeouts) as stack, client(stack.url, receive_buffer=4096) as one:
        await unread(one)
        taken = 0
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while data := await asyncio.get_running_loop().sock_recv(one.sock, 100):
                    taken += len(data)
                    await asyncio.sleep(0.002)
        assert taken < 1_000_000


async def test_a_long_answer_arrives_whole(tmp_path: Path) -> None:
    """A client that reads gets all of it, and asks again on the same connection."""
    async with bounded_stack(tmp_path) as stack, client(stack.url) as one:
        await unread(one)
        assert len(await one.answer()) > 1_000_000
        assert await one.ask() == 200


async def test_a_kept_connection_is_kept_while_it_is_used(tmp_path: Path) -> None:
    """The deadline of an idle connection begins anew with each answer."""
    async with bounded_stack(tmp_path, timeouts={"idle_connection": SOON}) as stack, client(stack.url) as one:
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 3 * SOON:
            assert await one.ask() == 200


async def test_nobody_waits_for_the_body_of_a_client_that_left(stack: GatewayStack) -> None:
    """A request that was refused before its body had come leaves nothing behind when its client goes."""

    def serving() -> int:
        return sum("RequestHandler" in repr(task.get_coro()) for task in asyncio.all_tasks())

    before = serving()
    async with client(stack.url) as one:
        assert await one.ask(HALF_A_BODY) == 401
        assert serving() == before + 1
    for _ in range(20):
        await asyncio.sleep(0)
    assert serving() == before


# Too many connections


@contextlib.asynccontextmanager
async def held(url: str, hold: Callable[[Client], Awaitable[None]], count: int) -> AsyncIterator[list[Client]]:
    """So many clients of one kind."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(await stack.enter_async_context(client(url, receive_buffer=4096)))
            await hold(clients[-1])
        yield clients


@pytest.mark.parametrize("hold", [idle, half_a_head, half_a_body, unread], ids=lambda kind: kind.__name__)
async def test_who_comes_finds_a_place(tmp_path: Path, hold: Callable[[Client], Awaitable[None]]) -> None:
    """However the places are held, the next callers are answered at once; a proved connection stays through it all."""
    async with bounded_stack(tmp_path, connections=8) as stack, client(stack.url) as known:
        assert await known.ask(get("/v1/accounts", KEY)) == 200
        async with held(stack.url, hold, 20) as clients:
            for _ in range(5):
                async with client(stack.url) as newcomer:
                    assert await newcomer.ask() == 200
            assert await known.ask(get("/v1/accounts", KEY)) == 200
            for one in clients[:12]:
                await one.closed()


async def test_a_request_in_work_is_never_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all places taken by work, a tenant's and a provider's, a newcomer is closed and the work is answered."""
    let_go, asked = asyncio.Event(), asyncio.Semaphore(0)

    async def hang(*_: object, **__: object) -> Any:
        asked.release()
        await let_go.wait()
        raise NotSent("connect_failed", connection=True)

    async def store_late(*_: object) -> Recorded:
        asked.release()
        await let_go.wait()
        return Recorded()

    monkeypatch.setattr(receive, "accept", store_late)
    async with bounded_stack(tmp_path, connections=8) as stack:
        stack.gateway.send = hang
        endpoint = stack.settings.tenants["acme"].accounts["psp-main"].endpoint_id
        call_back = partial(Client.send, data=get(f"/callbacks/{endpoint}").replace(b"GET", b"POST"))
        async with held(stack.url, create, 4) as some, held(stack.url, call_back, 4) as others:
            for _ in (*some, *others):
                await asked.acquire()
            async with client(stack.url) as newcomer:
                await newcomer.closed()
            let_go.set()
            assert [(await one.answer()).split()[1] for one in (*some, *others)] == [b"201"] * 4 + [b"204"] * 4
            assert await some[0].ask() == 200


async def test_one_tenants_work_leaves_places_to_others(tmp_path: Path) -> None:
    """Of eight places a tenant's slow requests take four: its next one may come again, another tenant's is taken."""
    let_go, asked = asyncio.Event(), asyncio.Semaphore(0)

    async def hang(*_: object, **__: object) -> Any:
        asked.release()
        await let_go.wait()
        raise NotSent("connect_failed", connection=True)

    async with bounded_stack(tmp_path, connections=8) as stack:
        stack.gateway.send = hang
        async with held(stack.url, create, 4) as clients, client(stack.url) as one:
            for _ in clients:
                await asked.acquire()
            await create(one)
            refused = await one.answer()
            assert (refused.split()[1], b"Retry-After: 1" in refused) == (b"429", True)
            await create_of_globex(one)
            await asked.acquire()
            let_go.set()
            assert [(await other.answer()).split()[1] for other in (*clients, one)] == [b"201"] * 5


async def test_operators_have_places_of_their_own(tmp_path: Path) -> None:
    """``/readyz`` answers while strangers hold every place of the public listener, and many of the operators'."""
    async with (
        bounded_stack(tmp_path, connections=8) as stack,
        held(stack.url, half_a_head, 20),
        held(stack.admin_url, half_a_head, 40),
        client(stack.admin_url) as operator,
    ):
        assert await operator.ask(get("/readyz")) == 200


async def test_one_address_has_its_limit(tmp_path: Path) -> None:
    """Beyond ``connections_per_address`` a newcomer is closed at once; when another leaves there is a place again."""
    async with bounded_stack(tmp_path, connections_per_address=3) as stack, held(stack.url, idle, 3) as clients:
        async with client(stack.url) as newcomer:
            await newcomer.closed()
        clients[0].sock.close()
        assert await clients[1].ask() == 200  # the loop has seen the other one leave
        async with client(stack.url) as newcomer:
            assert await newcomer.ask() == 200
        assert clients[2].is_open


async def test_too_many_connections_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A flood of connections is one warning with a count, not a line each."""
    timeouts = {"idle_connection": SOON}  # looks more often
    async with (
        bounded_stack(tmp_path, timeouts=timeouts, connections=8) as stack,
        held(stack.url, half_a_head, 40),
        client(stack.url) as one,
    ):
        await idle(one)
        await one.closed()
    said = [record for record in caplog.records if record.getMessage() == "too many connections"]
    assert [(record.levelno, vars(record)["repeated"] > 0) for record in said] == [(logging.WARNING, True)]


# Heads


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (get("/nothing", f"X-Long: {'x' * 15_000}"), 404),
        (get("/", f"X-Long: {'x' * 20_000}"), 431),
        (get("/" + "x" * 20_000), 431),
        (MANY_BYTES, 431),
        (get("/nothing", *(f"X-{number}: x" for number in range(60))), 404),
        (get("/", *(f"X-{number}: x" for number in range(70))), 400),
        (get("/", f"X-Long: {'x' * 20_000}")[:-2], 431),
        (MANY_BYTES[:-2], 431),
    ],
    ids=["fits", "one header", "address", "many bytes", "60 headers", "70 headers", "unfinished", "many, unfinished"],
)
async def test_a_head_has_a_size(stack: GatewayStack, request_head: bytes, status: int) -> None:
    """A head over ``head_bytes`` or with too many headers is refused and its connection closed, finished or not."""
    async with client(stack.url) as one:
        assert await one.ask(request_head) == status
        if status != 404:
            await one.closed()


@pytest.mark.parametrize("many", [MANY_BYTES, MANY_BYTES[:-2]], ids=["whole", "unfinished"])
async def test_a_head_behind_another_request_has_the_same_size(stack: GatewayStack, many: bytes) -> None:
    """The request before it is answered, the one that is too large is refused."""
    async with client(stack.url) as one:
        await one.send(ONE + many[:9000])
        assert (await one.answer()).split()[1] == b"200"
        assert await one.ask(many[9000:]) == 431
        await one.closed()


@pytest.mark.parametrize("around", [b"0\r\n" + b"X-Y: %s\r\n" % (b"x" * 4000), b"1;%s\r\n{\r\n" % (b"x" * 40_000)])
async def test_what_surrounds_a_body_is_bounded(tmp_path: Path, around: bytes) -> None:
    """Trailers and extensions of chunks without end do not pile up."""
    head = HALF_A_BODY_OF_ACME.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked")[:-1]
    async with bounded_stack(tmp_path) as stack, client(stack.url) as one:
        await one.send(head)
        with contextlib.suppress(ConnectionError):
            await one.send(around[:3])
            for _ in range(50):
                await one.send(around[3:])
        await one.closed()


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_body_may_come_in_pieces(stack: GatewayStack, before: int, turns: int) -> None:
    """A head, and a body in pieces some turns of the loop apart, arrive: on their own, and behind other requests."""
    body = json.dumps(psp_body()).encode()
    head = get("/v1/payments", KEY, f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}")
    async with client(stack.url) as one:
        await one.send(ONE * before + head.replace(b"GET", b"POST").replace(b"Host: x", JSON))
        for piece in (body[:1], body[1:50], body[50:]):
            for _ in range(turns):
                await asyncio.sleep(0)
            await one.send(piece)
        for _ in range(before):
            assert (await one.answer()).split()[1] == b"200"
        assert (await one.answer()).split()[1] == b"201"


# Pipelined requests


async def test_pipelined_requests_are_answered_in_order(stack: GatewayStack) -> None:
    """A client that sends the next requests before it has an answer gets all of them."""
    async with client(stack.url) as one:
        await one.send(ONE * 100 + get("/nowhere"))
        assert [int((await one.answer()).split()[1]) for _ in range(101)] == [200] * 100 + [404]
        assert await one.ask() == 200


async def test_others_have_their_turn_between_pipelined_requests(stack: GatewayStack) -> None:
    """The event loop turns before the next one, although none waits for anything."""
    new_id, turn, turns = stack.gateway.new_id, 0, []

    def noting(prefix: str) -> str:
        turns.append(turn)
        return new_id(prefix)

    async def turning() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    beside = asyncio.create_task(turning())
    stack.gateway.new_id = noting
    async with client(stack.url) as one:
        await one.send(ONE * 20)
        for _ in range(20):
            await one.answer()
    beside.cancel()
    assert len(set(turns)) >= 19  # nothing is behind the last


async def test_requests_behind_work_are_not_read(tmp_path: Path) -> None:
    """While a request is in work no more than a little is read behind it, and all of it is answered later."""
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def hang(*_: object, **__: object) -> Any:
        asked.set()
        await let_go.wait()
        raise NotSent("connect_failed", connection=True)

    async with bounded_stack(tmp_path) as stack, client(stack.url) as one:
        stack.gateway.send = hang
        await create(one)
        await asked.wait()
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 10_000_000:
                async with asyncio.timeout(0.2):
                    await one.send(ONE * 100)
                sent += len(ONE) * 100
        assert sent < 5_000_000  # what fits into the kernel's buffers of both sides
        let_go.set()
        assert (await one.answer()).split()[1] == b"201"
        for _ in range(200):
            assert (await one.answer()).split()[1] == b"200"


async def create(one: Client, tenant: str = "acme") -> None:
    """Begin a payment."""
    body = json.dumps(psp_body()).encode()
    key = f"Authorization: Bearer {key_of(tenant)}"
    head = get("/v1/payments", key, f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}")
    await one.send(head.replace(b"GET", b"POST").replace(b"Host: x", JSON) + body)


async def create_of_globex(one: Client) -> None:
    """Begin another tenant's payment."""
    await create(one, "globex")
