"""Compressed bodies: a tenant's is refused with 415, a provider's is read as it came."""

from __future__ import annotations

import gzip

import pytest

from tests.support.clients.psp_callbacks import new_payment, post
from tests.support.stack import GatewayStack, new_key


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_refused_and_named(stack: GatewayStack, coding: str) -> None:
    """A tenant's body under any content coding is 415, readable or not."""
    headers = {"Content-Encoding": coding}
    reply = await stack.call("POST", "/v1/payments", data=b"garbage", key=new_key(), headers=headers)
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


async def test_a_callback_is_judged_as_it_came(stack: GatewayStack) -> None:
    """A callback is never decompressed: one that is garbage for its coding is refused like any other garbage."""
    await new_payment(stack)
    plain, coded = [await post(stack, b"garbage", headers=headers) for headers in ({}, {"Content-Encoding": "gzip"})]
    assert (coded.status, coded.text) == (plain.status, plain.text)
    assert coded.status < 500


async def test_a_small_callback_does_not_grow(stack: GatewayStack) -> None:
    """A megabyte that was packed into a kilobyte is a kilobyte: not too large, only not authentic."""
    packed = gzip.compress(bytes(1 << 20))
    small, coded = [await post(stack, packed, headers=headers) for headers in ({}, {"Content-Encoding": "gzip"})]
    assert (coded.status, coded.text) == (small.status, small.text)
