"""``GET /metrics`` for Prometheus: what all processes have counted, and what waits in the store at this moment.

No key is needed, as for ``/livez``: it is for everyone who can reach the operators' listener, and names no tenant, no
account and no id. Every name is in ``flows/status/metrics.py``; prometheus_client, imported at the first scrape,
writes them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from gateway.flows.status import metrics
from gateway.flows.status.family import Family
from gateway.flows.status.state import STATE
from gateway.web.app_keys import GATEWAY

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def scrape(request: web.Request) -> web.Response:
    """``GET /metrics``. The text is made on another thread: requests go on meanwhile."""
    gw = request[GATEWAY]
    families = await metrics.collect(gw)
    processes = {} if gw.peers is None else (await STATE.of(gw)).processes
    body = await asyncio.to_thread(_written, families, processes)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


class _Collector:
    """What prometheus_client asks."""

    def __init__(self, families: Iterable[Family], processes: Mapping[int, int]) -> None:
        self._families, self._processes = families, processes

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
        yield from _of_processes(self._processes)


def _of_processes(processes: Mapping[int, int]) -> Iterable[Any]:
    """What the system says of each process; where there are several it says of which, since each has its own limits."""
    from prometheus_client import ProcessCollector

    if not processes:
        return ProcessCollector(registry=None).collect()
    found: dict[str, Any] = {}
    for number, pid in processes.items():
        for metric in ProcessCollector(registry=None, pid=functools.partial(int, pid)).collect():
            samples = [one._replace(labels={"worker": str(number)}) for one in metric.samples]
            metric.samples = []
            found.setdefault(metric.name, metric).samples += samples
    return found.values()


def _written(families: Iterable[Family], processes: Mapping[int, int]) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(_Collector(families, processes))
