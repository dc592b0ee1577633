"""A unit of work on its way to PostgreSQL: what its caller is told, and what becomes of one that is in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from psycopg.pq.abc import PGresult

from gateway.core.errors import Conflict, InDoubt, Unavailable
from gateway.drivers.measures import Measures
from gateway.drivers.store.engine import answering, stuck
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.postgresql import commits
from gateway.drivers.store.postgresql.commits import NOT_ONE_ROW, Commits
from gateway.drivers.store.postgresql.connection import Command, Lost, Outcome, Refused
from gateway.drivers.store.postgresql.pool import NothingSent, Pool
from gateway.drivers.store.statements import Statement

UNIT = (Statement("UPDATE a SET b = ?", (1,)), Statement("UPDATE c SET d = ?", (2,), "version"))
CUT = Lost("cut")


def found(is_barred: str) -> PGresult:
    """What the server says of a mark: whether it is barred."""
    value = {"nfields": 1, "ntuples": 1, "ftype": lambda _: 16, "get_value": lambda *_: is_barred.encode()}
    return cast("PGresult", SimpleNamespace(**value))


COMMITTED, BARRED = [found("f")], [found("t")]


class Scripted(Pool):
    """A pool whose answers are listed; ``sent`` are the first parameters of each command."""

    def __init__(self, *answers: Outcome | NothingSent) -> None:
        self.answers = list(answers)
        self.sent: list[list[tuple[object, ...]]] = []
        self.alone: list[bool] = []

    def begin(
        self,
        commands: Sequence[Command],
        ended: Callable[[Outcome | NothingSent], None],
        *,
        tenant: str | None = None,  # noqa: ARG002  # a Pool's form
        is_alone: bool = False,
    ) -> None:
        self.alone.append(is_alone)
        self.sent.append([tuple(command.params) for command in commands])
        asyncio.get_running_loop().call_soon(ended, self.answers.pop(0) if self.answers else [])

    @property
    def marks(self) -> list[object]:
        """The marks that were sent, in order."""
        return [commands[-1][1] for commands in self.sent]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""
    monkeypatch.setattr(commits, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(commits, "MAX_RETRY_SECONDS", 0.0)


def refused(state: str, place: int = 0) -> Refused:
    return Refused(place, state, "no")


async def test_a_unit_goes_ahead_of_its_mark() -> None:
    """Its mark is of its tenant and has what is certain to grow."""
    pool = Scripted()
    await Commits(pool, Measures()).commit("acme", [Statement("UPDATE a SET b = ?", (1,), "version", ("acme", 70))])
    ((statement, mark),) = pool.sent
    assert (mark[0], mark[2], statement) == ("acme", 70, (1,))


async def test_growth_that_depends_is_counted_by_the_server() -> None:
    """A statement that may touch no row says by itself what it adds."""
    pool = Scripted()
    await Commits(pool, Measures()).commit("acme", [Statement("UPDATE a SET b = ?", (1,), None, ("acme", 70))])
    ((statement, mark),) = pool.sent
    assert mark == ("acme", pool.marks[0])
    assert statement == (1, "acme", 70)


async def test_the_statement_that_failed_names_the_conflict() -> None:
    """By its place in the unit."""
    with pytest.raises(Conflict, match="version"):
        await Commits(Scripted(refused(NOT_ONE_ROW, 1)), Measures()).commit("acme", UNIT)


async def test_a_row_that_must_be_new_and_is_there_is_the_conflict() -> None:
    """The first time: it is there for good. Of another statement a unique key proves nothing."""
    unit = (UNIT[0], Statement("INSERT INTO a (b) VALUES (?) ON CONFLICT DO NOTHING", (1,), "key"))
    pool = Scripted(refused("23505", 1))
    with pytest.raises(Conflict, match="key"):
        await Commits(pool, Measures()).commit("acme", unit)
    assert len(pool.sent) == 1
    await Commits(pool := Scripted(refused("23505", 2)), Measures()).commit("acme", unit)  # its mark
    await Commits(other := Scripted(refused("23505", 1)), Measures()).commit("acme", UNIT)
    assert (len(pool.sent), len(other.sent)) == (2, 2)


@pytest.mark.parametrize("state", ["40001", "40P01", "25006"])
async def test_what_was_undone_for_others_is_begun_anew(state: str) -> None:
    """Under another mark each time, since the one before may not be used again."""
    pool = Scripted(refused(state), refused(state))
    await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(set(pool.marks)) == 3


async def test_not_for_ever() -> None:
    """A unit that loses every time is given up, and nothing of it was written."""
    pool = Scripted(*[refused("40001")] * commits.MAX_TRIES)
    with pytest.raises(Unavailable, match="conflicts with other writers"):
        await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == commits.MAX_TRIES


async def test_a_row_that_another_wrote_meanwhile_is_met_once() -> None:
    """The next time the unit sees it, and says what that means; or it is the unit's own mistake."""
    pool = Scripted(refused("23505", 1))
    await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 2
    pool = Scripted(*[refused("23505", 1)] * 2)
    with pytest.raises(Unavailable, match="23505"):
        await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 2


@pytest.mark.parametrize("state", ["23502", "22003", "42P01", "55P03", "57014", "53100"])
async def test_what_the_server_refuses_is_not_tried_again(state: str) -> None:
    """It has undone all of it; the caller is told that nothing was written."""
    pool, measures = Scripted(refused(state, 1)), Measures()
    with pytest.raises(Unavailable, match=state):
        await Commits(pool, measures).commit("acme", UNIT)
    assert (len(pool.sent), measures.store_errors) == (1, 1)


async def test_a_unit_in_doubt_that_was_committed_is_not_sent_again() -> None:
    """Its mark is there already, and not barred."""
    pool = Scripted(CUT, COMMITTED)
    await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 2
    assert len(set(pool.marks)) == 1


async def test_a_unit_in_doubt_that_was_not_committed_is_begun_anew() -> None:
    """Only after its mark was taken from it: whatever of it is still on its way can never be committed."""
    pool = Scripted(CUT, BARRED)
    await Commits(pool, Measures()).commit("acme", UNIT)
    first, barred, second = pool.marks
    assert first == barred != second


@pytest.mark.parametrize("answers", [(CUT, BARRED, CUT, BARRED), (refused("40001"), refused("40P01"))])
async def test_a_unit_goes_with_others_once(answers: Sequence[Outcome]) -> None:
    """What ends its connection, or is refused, would harm them every time."""
    pool = Scripted(*answers)
    await Commits(pool, Measures()).commit("acme", UNIT)
    begun = [is_alone for is_alone, commands in zip(pool.alone, pool.sent, strict=True) if len(commands) > 1]
    assert begun == [False, True, True]


async def test_a_bar_whose_answer_was_lost_is_one() -> None:
    """What stands there was written to keep the unit out: it is no sign that the unit was committed."""
    pool = Scripted(CUT, CUT, BARRED)
    await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 4
    assert pool.sent[3][:-1] == pool.sent[0][:-1]


async def test_nothing_is_concluded_while_the_server_is_away() -> None:
    """It is asked until it says something."""
    pool = Scripted(CUT, CUT, NothingSent("down"), refused("57014"), COMMITTED)
    await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 5
    assert len(set(pool.marks)) == 1


async def test_nothing_is_concluded_from_a_mark_that_may_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are deleted some day: a doubt that has lasted as long is told as one."""
    monkeypatch.setattr(commits, "MARK_KEPT_SECONDS", 0.0)
    pool = Scripted(CUT)
    with pytest.raises(Unavailable, match="not known"):
        await Commits(pool, Measures()).commit("acme", UNIT)
    assert len(pool.sent) == 1


async def test_without_a_connection_nothing_was_sent() -> None:
    """The caller is told at once."""
    with pytest.raises(Unavailable, match="down"):
        await Commits(Scripted(NothingSent("down")), Measures()).commit("acme", UNIT)


async def test_a_store_that_closes_waits_for_who_is_in_doubt() -> None:
    """As long as the server may still say what became of the unit."""
    pool = Scripted(CUT, *[NothingSent("down")] * 20, COMMITTED)
    written = Commits(pool, Measures())
    caller = asyncio.ensure_future(written.commit("acme", UNIT))
    for _ in range(5):
        await asyncio.sleep(0)
    await written.close()
    await caller


async def test_a_store_that_closes_tells_who_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """No caller waits for ever."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    pool = Scripted(CUT, *[NothingSent("down")] * 10_000)
    written = Commits(pool, Measures())
    caller = asyncio.ensure_future(written.commit("acme", UNIT))
    for _ in range(100):
        await asyncio.sleep(0)
    await written.close()
    with pytest.raises(Unavailable, match="closed before"):
        await caller


async def test_a_process_that_ends_tells_who_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun ends before the store is closed: the next start finds what became of the unit."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    gate = Gate()
    caller = asyncio.ensure_future(Commits(Away(), Measures(), gate).commit("acme", UNIT))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not caller.done()
    gate.is_ending = True
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="not known"):
            await caller


async def test_a_fault_while_finding_out_leaves_nobody_waiting() -> None:
    """Whatever it is: the caller is told that it is not known."""
    pool = Scripted(CUT, [found("not a result's form"), None])  # type: ignore[list-item]
    with pytest.raises(Unavailable, match="not known"):
        await Commits(pool, Measures()).commit("acme", UNIT)


class Away(Scripted):
    """A pool that loses the first unit, and has no connection from then on."""

    def begin(
        self,
        commands: Sequence[Command],
        ended: Callable[[Outcome | NothingSent], None],
        **named: Any,
    ) -> None:
        self.answers = [NothingSent("down") if self.sent else CUT]
        super().begin(commands, ended, **named)


class Held(Scripted):
    """A pool whose answers but the first, which is lost, are held back until they are let go."""

    def __init__(self, *answers: Outcome | NothingSent) -> None:
        super().__init__(CUT, *answers)
        self.let_go = asyncio.Event()

    def begin(
        self,
        commands: Sequence[Command],
        ended: Callable[[Outcome | NothingSent], None],
        **named: Any,
    ) -> None:
        def held(outcome: Outcome | NothingSent) -> None:
            waits = asyncio.ensure_future(self.let_go.wait())
            waits.add_done_callback(lambda _: ended(outcome))

        super().begin(commands, held if self.sent else ended, **named)


async def answer_request(pool: Held) -> InDoubt:
    """Write a unit where a request is answered; return what that is told."""
    answering.set(asyncio.current_task())
    with pytest.raises(InDoubt) as told:
        await Commits(pool, Measures()).commit("acme", UNIT)
    return told.value


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([COMMITTED], type(None)),
        ([BARRED, []], type(None)),
        ([BARRED, refused(NOT_ONE_ROW, 1)], Conflict),
        ([NothingSent("down"), CUT, BARRED, NothingSent("down")], Unavailable),
    ],
)
async def test_who_answers_a_request_does_not_wait_for_what_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch, answers: list[Outcome | NothingSent], outcome: type[object]
) -> None:
    """It is told after a while, and what follows goes on as soon as it is known what became of the unit."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    pool = Held(*answers)
    doubt = await asyncio.create_task(answer_request(pool))
    assert not doubt.decided.done()
    pool.let_go.set()
    assert type(await doubt.decided) is outcome
    assert pool.answers == []


@pytest.mark.parametrize("is_closed", [True, False])
async def test_who_answers_a_request_is_never_told_that_nothing_was_done(
    monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    """Where it will not be known: the store closes, or finding out fails."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 60.0)
    pool = Scripted(CUT, *([NothingSent("down")] * 100 if is_closed else [found("not a result's form")]), None)  # type: ignore[list-item]
    written = Commits(pool, Measures())

    async def answered() -> InDoubt:
        answering.set(asyncio.current_task())
        with pytest.raises(InDoubt) as told:
            await written.commit("acme", UNIT)
        return told.value

    told = asyncio.create_task(answered())
    for _ in range(5):
        await asyncio.sleep(0)
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    await written.close()
    assert isinstance(await (await told).decided, Unavailable)


async def test_what_is_known_in_time_is_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is answered as if nothing had happened."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 60.0)

    async def answered() -> None:
        answering.set(asyncio.current_task())
        await Commits(Scripted(CUT, COMMITTED), Measures()).commit("acme", UNIT)

    await asyncio.create_task(answered())


async def test_work_that_a_request_has_begun_waits_for_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome that is to be stored is stored once; where the request waits for that, it is told after a while."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    answering.set(asyncio.current_task())
    stuck.set(asyncio.Event())
    pool = Held(COMMITTED)
    work = asyncio.create_task(Commits(pool, Measures()).commit("acme", UNIT))
    async with asyncio.timeout(10):
        await stuck.get().wait()
    for _ in range(20):
        await asyncio.sleep(0)
    pool.let_go.set()
    await work


async def test_a_request_is_told_nothing_of_what_is_known_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is over when the unit was found to be written."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.01)
    stuck.set(asyncio.Event())
    await Commits(Scripted(CUT, COMMITTED), Measures()).commit("acme", UNIT)
    asyncio.get_running_loop().call_later(0.01, (later := asyncio.Event()).set)
    await later.wait()
    assert not stuck.get().is_set()
