"""PSP bridges as they are, over HTTP: what differs from the description, and what the tenant sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


def noted(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, str]]:
    """Account and kind of every unusual answer that the log names."""
    for record in caplog.records:
        if record.msg == "an answer is unusual but was read":
            yield vars(record)["account"], vars(record)["kind"]


@shared
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"success_status": 201}, "status 201"),
        ({"media_type": "text/html; charset=utf-8"}, "media type text/html; charset=utf-8"),
        ({"media_type": "text/plain"}, "media type text/plain"),
        ({"media_type": ""}, "no media type"),
        ({"byte_order_mark": True}, "a byte order mark"),
    ],
)
async def test_an_unusual_answer_is_read_and_noted_once(
    shared_house: House, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], kind: str
) -> None:
    """The customer gets the page; the operators get one line for an account and a kind, not one for each payment."""
    await shared_house.faults("psp", **fault)
    for _ in range(2):
        reply = await shared_house.create(psp_body())
        assert (reply.status, reply.json["state"]) == (201, "awaiting_customer"), reply.text
        assert reply.json["redirect_url"] is not None
    await shared_house.create(psp_body(), tenant="globex")
    await shared_house.faults("psp")
    assert list(noted(caplog)) == [("psp-main", kind)] * 2  # of two tenants


@shared
async def test_a_usual_answer_is_not_noted(shared_house: House, caplog: pytest.LogCaptureFixture) -> None:
    """What the description promises is nothing to tell."""
    assert (await shared_house.create(psp_body())).status == 201
    assert list(noted(caplog)) == []
