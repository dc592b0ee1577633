"""``gateway endpoints`` against a running gateway."""

from __future__ import annotations

from tests.cli.test_deliveries import command, dead_letters, printed, staffed
from tests.support.clients.psp_callbacks import new_payment
from tests.support.factories.deliveries import rows_when
from tests.support.stack import GatewayStack

__all__ = ["staffed"]


async def test_a_disabled_endpoint_is_found_and_enabled(staffed: GatewayStack) -> None:
    """The list says since when and why; afterwards what it missed is on its way."""
    staffed.webhook_answer = lambda _: 410
    payment = await new_payment(staffed)
    missed = await rows_when(
        staffed, payment["id"], lambda rows: bool(rows) and {row.status for row in rows} == {"dead"}
    )
    staffed.webhook_answer = lambda _: 204
    shown = await command(staffed, "endpoints", "list")
    assert shown.exit_code == 0, shown.output
    [row] = [line.split() for line in shown.stdout.splitlines() if line.startswith("acme")]
    assert (row[1], row[4]) == ("no", "gone")
    done = await printed(staffed, "endpoints", "enable", "acme", "--redeliver", "--reason", "it was a wrong deployment")
    assert (done["enabled"], done["redelivered"]) == (True, len(missed))
    act = (await printed(staffed, "audit"))["data"][0]
    assert (act["act"], act["tenant"], act["reason"]) == ("endpoints.enable", "acme", "it was a wrong deployment")


async def test_one_tenants_endpoint(staffed: GatewayStack) -> None:
    """The filter names it; an unknown tenant ends with 1."""
    await dead_letters(staffed)
    [found] = (await printed(staffed, "endpoints", "list", "--tenant", "acme"))["data"]
    assert (found["tenant"], found["enabled"]) == ("acme", True)
    assert (await command(staffed, "endpoints", "enable", "nobody")).exit_code == 1
