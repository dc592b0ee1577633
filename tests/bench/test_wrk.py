"""What ``wrk`` reports: read, and refused when anything but the expected answers came."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from aiohttp import web

from bench import wrk
from bench.machine import free_port

LINE = '{"requests": 10, "micros": 2000000, "p50_us": 90, "p99_us": 400, "socket_errors": 0, "wrong": 0}'


def test_a_report_is_read_among_other_lines() -> None:
    """wrk prints its own summary too."""
    answers = wrk.read(f"Running 2s test\n  1 threads\n{LINE}\n")
    assert (answers.requests, answers.micros, answers.p50_us, answers.p99_us) == (10, 2_000_000, 90, 400)


@pytest.mark.parametrize(
    "stdout",
    [
        LINE.replace('"wrong": 0', '"wrong": 1'),
        LINE.replace('"socket_errors": 0', '"socket_errors": 1'),
        LINE.replace('"requests": 10', '"requests": 0'),
        "unable to connect",
    ],
)
def test_a_window_with_anything_else_raises(stdout: str) -> None:
    """A wrong status, a broken connection, no answer, no report."""
    with pytest.raises(wrk.WrongAnswer):
        wrk.read(stdout, "first wrong answer: 500")


def test_a_missing_wrk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to install it."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        wrk.require()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
async def test_a_wrong_status_is_noticed_by_the_script() -> None:
    """The script compares each answer, not wrk, which takes every 2xx for well."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=201 if request.headers["Authorization"].endswith("a") else 202)

    app = web.Application()
    app.router.add_post("/v1/payments", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()

    async def load(second_key: str) -> wrk.Answers:
        environment = {"PREFIX": "t", "KEY_1": "a", "KEY_2": second_key}
        return await asyncio.to_thread(wrk.run, port, wrk.Load("payments.lua", 201, 2), 1, **environment)

    try:
        assert (await load("a")).requests > 0
        with pytest.raises(wrk.WrongAnswer, match="first wrong answer: 202"):
            await load("b")
    finally:
        await runner.cleanup()
