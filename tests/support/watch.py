"""Prometheus as far as alerts need it: real scrapes, one a minute of its own time, and promtool over the rules."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.stack import GatewayStack

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yaml"

Scrape = Mapping[str, str]
"""Series, as promtool reads them -> the number's text; empty where the gateway did not answer."""


def promtool() -> str:
    """Where it is. Its tests are skipped without it, but not where everything is to be tested."""
    found = shutil.which("promtool") or shutil.which(str(ROOT / ".venv/bin/promtool"))
    if found is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed: make promtool")
    assert found is not None, "CI needs promtool: make promtool"
    return found


def rules() -> list[Any]:
    """The shipped rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


class Watch:
    """Scrapes one gateway. A scrape that is held stands for minutes in which nothing changes."""

    def __init__(self, stack: GatewayStack) -> None:
        self._stack = stack
        self._minutes: list[Scrape] = []

    async def scrape(self, minutes: int = 1) -> None:
        """Scrape, and hold it for so many minutes."""
        self._minutes += [await self._read()] * minutes

    async def until(self, series: str, number: float) -> None:
        """Wait until a scrape shows a number of at least this; none of these scrapes is kept."""
        async with asyncio.timeout(10):
            while float((await self._read()).get(series, 0)) < number:
                pass

    async def _read(self) -> Scrape:
        url = f"{self._stack.admin_url}/metrics"
        try:
            async with aiohttp.ClientSession() as http, http.get(url) as response:
                text = await response.text()
        except aiohttp.ClientError:
            return {'up{job="gateway"}': "0"}
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {'up{job="gateway"}': "1", **{_of_job(series): number for series, _, number in lines}}

    @property
    def newest(self) -> Scrape:
        """The last scrape that was kept."""
        return self._minutes[-1]

    def fired(self, folder: Path) -> set[str]:
        """The alerts that fired at any time. ``folder`` is for promtool's files."""
        asked = f'group by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{len(self._minutes)}m]))'
        told = self._evaluated([asked], folder)
        found = set(re.findall(r'alertname=\\?"(\w+)', told))
        assert bool(told) == bool(found), told
        return found

    def silent(self, queries: Sequence[str], folder: Path) -> list[str]:
        """Those of these queries that show nothing at the end."""
        shown = re.findall(r"expr: (\".*\"), time", self._evaluated(queries, folder))
        return [query for query in queries if json.dumps(query) not in shown]

    def _evaluated(self, queries: Sequence[str], folder: Path) -> str:
        """What promtool says of queries of which nothing is expected: it names all that it got."""
        at = f"{len(self._minutes) - 1}m"
        asked = [{"expr": query, "eval_time": at, "exp_samples": []} for query in queries]
        test = {"interval": "1m", "input_series": _series(self._minutes), "promql_expr_test": asked}
        written = folder / "promtool.yaml"
        written.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [test]}))
        made = subprocess.run([promtool(), "test", "rules", str(written)], capture_output=True, text=True, check=False)
        told = made.stdout + made.stderr
        assert " err: " not in told, told
        return "" if made.returncode == 0 else told


def _of_job(series: str) -> str:
    """A series with the label that Prometheus adds."""
    name, brace, labels = series.partition("{")
    return f'{name}{{job="gateway",{labels}' if brace else f'{name}{{job="gateway"}}'


def _series(minutes: Sequence[Scrape]) -> list[dict[str, str]]:
    """All series, minute by minute, for promtool."""
    names = sorted({series for scrape in minutes for series in scrape})
    return [{"series": name, "values": " ".join(scrape.get(name, "_") for scrape in minutes)} for name in names]
