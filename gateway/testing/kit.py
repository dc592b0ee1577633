"""Check a plugin by its name: find it, load its accounts, run every rule, and write down what breaks one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gateway.core.errors import SettingsError
from gateway.provider import Provider
from gateway.testing.accounts import why_not
from gateway.testing.cases import Case, Found
from gateway.testing.checks import CHECKS, JUDGES
from gateway.testing.installed import Plugin, find_plugin, imported_anew
from gateway.testing.replays import read_replay, write_replay
from gateway.testing.report import Finding, Report
from gateway.testing.rules import fix_of, severity_of
from gateway.testing.samples import Samples, read_samples, shipped_with
from gateway.testing.subject import Subject


def check_plugin(name: str, samples: Path | None = None, *, replays: Path | None = None) -> Report:
    """Check the plugin of this name as an object alone: no server, no network, a second or two.

    ``samples``: its samples file, by default ``samples.json`` beside its module. ``replays``: the folder for the inputs
    that break a rule, by default a new one. Raises ``NotInstalled`` and ``UnusableSamples``.
    """
    plugin = find_plugin(name)
    if not plugin.providers:
        found = [Found("declaration", problem) for problem in plugin.problems]
        return _report(plugin, [_finding(one) for one in found], {})
    path = samples or shipped_with(plugin.module)
    given = read_samples(path) if path is not None else None
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    for provider in plugin.providers:
        run = _Run(plugin, given, path, replays)
        findings += run.of(provider)
        counts.update(run.counts)
    return _report(plugin, findings, counts)


def replay_calls(name: str, path: Path, samples: Path | None = None) -> tuple[str, list[str]]:
    """Make the calls of a replay file again: what is still wrong (empty: nothing), and what each call gave.

    Raises ``NotInstalled``, ``UnusableSamples`` and ``ValueError``.
    """
    plugin = find_plugin(name)
    case = read_replay(path)
    found = samples or shipped_with(plugin.module)
    provider = plugin.providers[0]
    given = read_samples(found) if found else Samples()
    subject = Subject(provider, given, imported_anew(plugin, provider.name))
    outcomes = [subject.run(call) for call in case.calls]
    problem = JUDGES[case.rules[0]](subject, case, outcomes)
    return problem or "", [f"{call}\n  {outcome}" for call, outcome in zip(case.calls, outcomes, strict=True)]


class _Run:
    """One provider's checks, and what they found: of each rule the first input that breaks it."""

    def __init__(self, plugin: Plugin, samples: Samples | None, path: Path | None, replays: Path | None) -> None:
        self.plugin, self.path, self.replays = plugin, path, replays
        self.samples = samples or Samples()
        self.has_samples = samples is not None
        self.counts: dict[str, int | float] = {}

    def of(self, provider: Provider) -> list[Finding]:
        """What is wrong with a provider."""
        try:
            subject = Subject(provider, self.samples, imported_anew(self.plugin, provider.name))
        except SettingsError as problem:
            hint = "" if self.samples.accounts else "no account could be made up, so state one in samples.json: "
            return [_finding(Found("account", f"{hint}{why_not(problem)}"))]
        found: dict[str, Finding] = {}
        more: Counter[str] = Counter()
        for check in CHECKS:
            for case in check(subject):
                for rule, message in self._broken(subject, case):
                    more[rule] += 1
                    if rule not in found and rule not in self.samples.allows:
                        found[rule] = self._written(rule, message, case)
        costs = {f"{member}_microseconds": cost for member, cost in subject.costs.items()}
        self.counts = {**subject.calls, **costs}
        return list(found.values())

    def _broken(self, subject: Subject, case: Case | Found) -> Iterator[tuple[str, str]]:
        if isinstance(case, Found):
            yield case.rule, case.message
            return
        outcomes = [subject.run(call) for call in case.calls]
        for rule in case.rules:
            message = JUDGES[rule](subject, case, outcomes)
            if message is not None:
                yield rule, message

    def _written(self, rule: str, message: str, case: Case | Found) -> Finding:
        if isinstance(case, Found):
            return _finding(case)
        self.replays = self.replays or Path(tempfile.mkdtemp(prefix=f"gateway-{self.plugin.name}-"))
        self.replays.mkdir(parents=True, exist_ok=True)
        path = self.replays / f"{rule}.json"
        write_replay(path, self.plugin.name, rule, case)
        return _finding(Found(rule, message), str(path))


def _finding(found: Found, replay_file: str = "") -> Finding:
    return Finding(
        rule=found.rule,
        severity=severity_of(found.rule),
        message=found.message,
        fix=fix_of(found.rule),
        replay=replay_file,
    )


def _report(plugin: Plugin, findings: list[Finding], counts: dict[str, int | float] | Counter[str]) -> Report:
    ordered = sorted(findings, key=lambda one: one.severity)
    kinds = Counter(one.severity for one in findings)
    return Report(
        plugin=plugin.name,
        version=plugin.version,
        findings=tuple(ordered),
        counts={"errors": kinds["error"], "warnings": kinds["warning"], **counts},
    )
