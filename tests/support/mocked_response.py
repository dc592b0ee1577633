"""Stand-ins for tests that have no real part to use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp


class MockedResponse(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 can make on aiohttp >= 3.14, which wants a stream writer it does not know of.

    Pass it as ``response_class=`` (aioresponses issue 289).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)
