"""The shipped dashboard: a file that Grafana takes, each of whose queries finds what a real scrape has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack
from tests.support.watch import ROOT, Watch

DASHBOARD = json.loads((ROOT / "deploy/grafana/gateway.json").read_text())
PANELS: list[Any] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"].replace("$__rate_interval", "5m") for panel in PANELS for target in panel["targets"]]

LABELS = r"\b(?:by|without)\s*\(([^)]*)\)|(\w+)\s*=~?\s*\""
"""Where a query names labels."""


async def watched(stack: GatewayStack) -> Watch:
    """A watch over some healthy traffic."""
    watch = Watch(stack)
    await watch.scrape(10)
    payment = await new_payment(stack)
    await call_back(stack, payment)
    await creditkey.authorized(stack)
    await watch.until('gateway_webhook_attempts_total{job="gateway",outcome="delivered"}', 1)
    await watch.scrape(3)
    return watch


async def test_every_query_names_what_there_is(stack: GatewayStack) -> None:
    """Metrics and their labels, compared with a real scrape."""
    labels: dict[str, set[str]] = {}
    for series in (await watched(stack)).newest:
        labels.setdefault(series.partition("{")[0], set()).update(re.findall(r'(\w+)="', series))
    for query in QUERIES:
        metrics = re.findall(r"\b(?:gateway|process)_\w+|\bup\b", query)
        assert metrics, query
        assert set(metrics) <= labels.keys(), query
        named = {one.strip() for listed, one in re.findall(LABELS, query) for one in (listed or one).split(",")}
        assert named <= set().union(*(labels[metric] for metric in metrics)), query


async def test_every_query_can_be_evaluated(stack: GatewayStack, tmp_path: Path) -> None:
    """By Prometheus' own tool; and but for what only happens in trouble each shows something."""
    assert (await watched(stack)).silent(QUERIES, tmp_path) == ["increase(gateway_occurrences_total[1h]) > 0"]


async def test_every_metric_is_shown(stack: GatewayStack) -> None:
    """Or is one of the few that a graph says nothing of."""
    shown = " ".join(QUERIES)
    found = {re.sub("_(bucket|sum|count)$", "", series.partition("{")[0]) for series in (await watched(stack)).newest}
    assert {name for name in found if name not in shown and name.startswith("gateway_")} == {
        "gateway_info",
        "gateway_settings_loaded_timestamp_seconds",
        "gateway_store_readable",
    }


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_is_whole(panel: Any) -> None:
    """Title, words, unit, source and queries."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == source
    assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
    assert all(target["datasource"] == source and target["legendFormat"] for target in panel["targets"])


def test_the_dashboard_is_whole() -> None:
    """No id and no place twice, nothing beyond the 24 columns, and the source can be chosen."""
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]
    assert {"title", "uid", "schemaVersion", "time", "refresh"} <= DASHBOARD.keys()
