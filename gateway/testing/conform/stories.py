"""The stories: what may happen to a payment between the gateway and a provider, and what must be true at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from gateway.core.commands import CancelPayment, CapturePayment, Command, CreatePayment, RefundPayment
from gateway.testing.conform.testbed import StoryFailed, Testbed
from gateway.testing.simulator.outbox import forgeries

PAID = ("authorized", "captured")
SPOILS = {"lost": "the answer is lost", "html": "the answer is a page with 200", "cut": "half of the answer arrives"}
CHANGES: tuple[tuple[type[Command], str, bool], ...] = (
    (CapturePayment, "/capture", False),
    (CancelPayment, "/cancel", False),
    (RefundPayment, "/refunds", True),
)
"""A command, its path, and whether the money must have been taken before."""


class Story(NamedTuple):
    """A story by its name; it returns the payment, or None where the provider cannot have it."""

    name: str
    tell: Callable[[Testbed], Awaitable[Any]]


def stories(bed: Testbed) -> Iterator[Story]:
    """The stories that fit a provider's commands."""
    commands = bed.entry.provider.commands
    yield Story("paid, captured and refunded", whole)
    yield Story("the customer declines", declined)
    for how, words in SPOILS.items():
        yield Story(f"create: {words}", partial(spoiled_create, how=how))
    for command, path, after in CHANGES:
        if command in commands:
            for how, words in {**SPOILS, "early": "the callback comes before the answer"}.items():
                name = f"{command.__name__}: {words}"
                yield Story(name, partial(spoiled_change, how=how, command=command, path=path, after=after))
    for how in ("double", "hold"):
        words = "every callback comes twice" if how == "double" else "callbacks come late and out of order"
        yield Story(words, partial(disturbed, how=how))
    yield Story("callbacks are forged", forged)


async def paid(bed: Testbed) -> Any:
    """A payment that the customer has paid."""
    payment = await bed.create()
    await bed.customer(await bed.resolved(payment), "pay")
    payment = await bed.resolved(payment, *PAID)
    if payment["state"] not in PAID:
        raise StoryFailed(f"the customer paid, and the payment stays {payment['state']}")
    return payment


async def captured(bed: Testbed) -> Any:
    """A payment whose money was taken, as far as the provider can."""
    payment = await paid(bed)
    if payment["state"] == "authorized" and "CapturePayment" in bed.commands:
        await bed.change(payment, "/capture")
        payment = await bed.resolved(payment, "captured")
    return payment


async def whole(bed: Testbed) -> Any:
    """Everything goes well; a part is given back where that can be."""
    payment = await captured(bed)
    if payment["state"] == "captured" and "RefundPayment" in bed.commands:
        await bed.change(payment, "/refunds", {"amount": _part(payment)})
        payment = await bed.resolved(payment)
    return payment


async def declined(bed: Testbed) -> Any:
    """The customer's attempt fails."""
    payment = await bed.create()
    await bed.customer(payment, "decline")
    return await bed.resolved(payment)


async def spoiled_create(bed: Testbed, how: str) -> Any:
    """The provider may know the payment although nobody heard it say so."""
    bed.proxies.arm(CreatePayment, how)
    return await bed.resolved(_not_declined(await bed.create()))


async def spoiled_change(bed: Testbed, how: str, command: type[Command], path: str, after: bool) -> Any:
    """The change is made, and how it was answered is not heard."""
    payment = await (captured(bed) if after else paid(bed))
    if (payment["state"] == "captured") is not after:
        return None
    bed.proxies.arm(command, how)
    _not_declined(await bed.change(payment, path, {"amount": _part(payment)} if after else None))
    return await bed.resolved(payment)


async def disturbed(bed: Testbed, how: str) -> Any:
    """Callbacks are repeated, or arrive when everything is over."""
    bed.proxies.callbacks = how
    try:
        payment = await whole(bed)
    except StoryFailed:
        if "FetchPayment" in bed.commands or how != "hold":
            raise
        return None  # without callbacks and lookups nothing is heard
    await bed.proxies.release()
    return await bed.resolved(payment)


async def forged(bed: Testbed) -> Any:
    """Nothing that is not proved moves a payment."""
    payment = await bed.create()
    bed.proxies.callbacks = "hold"
    await bed.customer(await bed.resolved(payment), "pay")
    for honest in [one for one in bed.proxies.held if one.method == "POST"]:
        for forgery in forgeries(honest):
            await bed.proxies.send(forgery)
            if "callback" in await bed.causes(payment):
                raise Forged(f"a forged callback moved the payment: {forgery.headers} {forgery.body!r}")
    await bed.proxies.release()
    return await bed.resolved(payment, *PAID)


class Forged(StoryFailed):
    """A forged callback was believed."""


def differences(payment: Any, lines: list[Any], *, has_lookups: bool) -> Iterator[tuple[str, str]]:
    """What the simulator's ledger and the gateway do not agree on, each under its rule."""
    if len(lines) > 1:
        yield "sent-twice", f"the provider has {len(lines)} payments for one"
    line = lines[0] if lines else {"asked": payment["amount"], "captured": "0", "refunded": "0"}
    pairs = (("asked", "amount"), ("captured", "amount_captured"), ("refunded", "amount_refunded"))
    for theirs, ours in pairs:
        if Decimal(line[theirs]) != Decimal(payment[ours] or 0):
            rule = (
                "sent-twice" if theirs != "asked" and Decimal(line[theirs]) > Decimal(payment["amount"]) else "ledger"
            )
            yield rule, f"{theirs} at the provider {line[theirs]}, {ours} here {payment[ours]}"
    if payment["pending_operation"] is not None and has_lookups:
        yield "unresolved", f"an operation is still {payment['pending_operation']['status']} after an hour"


def _not_declined(said: Any) -> Any:
    """The answer that the tenant got to a change that the provider made. Raises ``StoryFailed`` where it was a no."""
    if said.get("operation", said)["status"] == "declined":
        raise StoryFailed(f"the provider did it, and the tenant is told that it declined: {said}")
    return said


def _part(payment: Any) -> str:
    amount = Decimal(payment["amount"])
    return format((amount / 2).quantize(amount), "f")
