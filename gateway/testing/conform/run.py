"""Run a plugin's stories, and report what is not true at the end of one."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from gateway.core.errors import SettingsError
from gateway.testing.accounts import why_not
from gateway.testing.conform.mutants import MUTANTS, Mutant
from gateway.testing.conform.stories import Forged, Story, differences, stories
from gateway.testing.conform.testbed import NoSimulator, StoryFailed, Testbed, testbed
from gateway.testing.installed import Plugin, find_plugin
from gateway.testing.report import Finding, Report
from gateway.testing.rules import fix_of, severity_of
from gateway.testing.sample_files import read_samples
from gateway.testing.samples import Samples, shipped_with


def conform_plugin(
    name: str, samples: Path | None = None, *, mutants: bool = False, replays: Path | None = None
) -> Report:
    """Run the plugin of this name in a real gateway against its simulator, story by story.

    ``mutants``: once more with each of ``MUTANTS``, to see whether a fault of that kind would be noticed. ``replays``:
    the folder for what passed in a story that failed. Raises ``NotInstalled`` and ``UnusableSamples``.
    """
    plugin = find_plugin(name)
    path = samples or shipped_with(plugin.module)
    given = read_samples(path) if path is not None else Samples()
    return asyncio.run(_Run(plugin, given, replays).report(mutants=mutants))


class _Run:
    def __init__(self, plugin: Plugin, samples: Samples, replays: Path | None) -> None:
        self.plugin, self.samples, self.replays = plugin, samples, replays
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()

    async def report(self, *, mutants: bool) -> Report:
        """All providers' stories, and what would notice a fault."""
        for problem in self.plugin.problems:
            self._found("declaration", problem)
        for provider in self.plugin.providers:
            await self._run(Mutant(provider))
            for name, kind in MUTANTS.items() if mutants and not self.findings else ():
                await self._mutate(name, kind(provider))
        return Report(
            plugin=self.plugin.name,
            version=self.plugin.version,
            findings=tuple(self.findings),
            counts=self.counts,
        )

    async def _run(self, mutant: Mutant, *, to_first: bool = False) -> None:
        """Tell the stories, all or until one fails."""
        try:
            async with testbed(self.plugin.name, mutant, self.samples) as bed:
                for story in stories(bed):
                    await self._tell(bed, story)
                    if to_first and self.findings:
                        break
        except SettingsError as problem:
            self._found("account", why_not(problem))
        except NoSimulator as problem:
            self._found("simulator", str(problem))

    async def _mutate(self, name: str, mutant: Mutant) -> None:
        """Count a mutant, if its fault changes anything here, and whether a story fails because of it."""
        with tempfile.TemporaryDirectory() as folder:
            trial = _Run(self.plugin, self.samples, Path(folder))
            await trial._run(mutant, to_first=True)
        self.counts["mutants"] += mutant.touched
        self.counts["mutants_noticed"] += mutant.touched and bool(trial.findings)
        if mutant.touched and not trial.findings:
            self._found("mutant", f"no story fails although {name}")

    async def _tell(self, bed: Testbed, story: Story) -> None:
        bed.proxies.begin()
        try:
            payment = await story.tell(bed)
        except (StoryFailed, aiohttp.ClientError) as problem:
            rule = "forged-callback" if isinstance(problem, Forged) else "story"
            self._found(rule, f"{story.name}: {problem}", self._replay(bed, story, rule, {}))
            return
        self.counts["stories"] += payment is not None
        self.counts["exchanges"] += len(bed.proxies.exchanges)
        if payment is not None:
            lines = await bed.ledger(payment)
            for rule, message in differences(payment, lines, has_lookups="FetchPayment" in bed.commands):
                seen = {"payment": payment, "ledger": lines}
                self._found(rule, f"{story.name}: {message}", self._replay(bed, story, rule, seen))

    def _replay(self, bed: Testbed, story: Story, rule: str, seen: dict[str, Any]) -> str:
        self.replays = self.replays or Path(tempfile.mkdtemp(prefix=f"gateway-{self.plugin.name}-"))
        self.replays.mkdir(parents=True, exist_ok=True)
        path = self.replays / f"story-{len(self.findings) + 1}.json"
        shown = {"plugin": self.plugin.name, "rule": rule, "story": story.name, **seen}
        shown["exchanges"] = bed.proxies.exchanges
        path.write_text(json.dumps(shown, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return str(path)

    def _found(self, rule: str, message: str, replay: str = "") -> None:
        self.findings.append(
            Finding(rule=rule, severity=severity_of(rule), message=message, fix=fix_of(rule), replay=replay)
        )
