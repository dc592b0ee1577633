"""``GET /metrics`` for Prometheus: what this process has counted, and what waits in the store at this moment.

No key is needed, as for ``/livez``: it is for everyone who can reach the operators' listener, and names no tenant, no
account and no id. Every name is in ``flows/status/metrics.py``; prometheus_client, imported at the first scrape,
writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway.flows.status import metrics
from gateway.flows.status.metrics import Family
from gateway.web.app_keys import GATEWAY

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def scrape(request: web.Request) -> web.Response:
    """``GET /metrics``. The text is made on another thread: requests go on meanwhile."""
    families = await metrics.collect(request[GATEWAY])
    body = await asyncio.to_thread(_written, families)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


class _Collector:
    """What prometheus_client asks."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        from prometheus_client import metrics_core

        kinds = {
            "counter": metrics_core.CounterMetricFamily,
            "gauge": metrics_core.GaugeMetricFamily,
            "histogram": metrics_core.HistogramMetricFamily,
        }
        for family in self._families:
            made = kinds[family.kind](family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                made.add_metric(labels, *value)
            yield made
        from prometheus_client import ProcessCollector

        yield from ProcessCollector(registry=None).collect()


def _written(families: Iterable[Family]) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(_Collector(families))
