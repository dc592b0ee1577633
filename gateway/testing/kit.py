"""Check a plugin by its name: find it, load its accounts, run every rule, and write down what breaks one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gateway.core.errors import SettingsError
from gateway.provider import Provider
from gateway.testing.accounts import why_not
from gateway.testing.apart import Ended, apart
from gateway.testing.cases import Case, Found
from gateway.testing.checks import CHECKS, JUDGES
from gateway.testing.installed import Plugin, find_plugin, imported_anew
from gateway.testing.replays import read_replay, write_replay
from gateway.testing.report import Finding, Report
from gateway.testing.rules import fix_of, severity_of
from gateway.testing.sample_files import read_samples
from gateway.testing.samples import Samples, UnusableSamples, shipped_with
from gateway.testing.steps import enter
from gateway.testing.subject import Subject


def check_plugin(name: str, samples: Path | None = None, *, replays: Path | None = None) -> Report:
    """Check the plugin of this name as an object alone: no server, no network, a second or two.

    ``samples``: its samples file, by default ``samples.json`` beside its module. ``replays``: the folder for the inputs
    that break a rule; without it none are written. Raises ``NotInstalled`` and ``UnusableSamples``.
    """
    if replays is not None:
        _make(replays)
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


def check_apart(name: str, samples: Path | None, replays: Path) -> Report:
    """As ``check_plugin``, in a process of its own: whatever the plugin does to it is a finding."""
    try:
        return apart(lambda: check_plugin(name, samples, replays=replays), Report)
    except Ended as end:
        return _report(Plugin(name=name, version=None, module=""), [_finding(Found(end.rule, str(end)))], {})


def replay_calls(name: str, path: Path, samples: Path | None = None) -> tuple[str, list[str]]:
    """Make the calls of a replay file again: what is still wrong (empty: nothing), and what each call gave.

    Raises ``NotInstalled`` and ``UnusableSamples``, also where nothing can be called.
    """
    case = read_replay(path)
    plugin = find_plugin(name)
    if not plugin.providers:
        raise UnusableSamples("\n".join(plugin.problems))
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
        again = imported_anew(self.plugin, provider.name)
        enter(f"account_type, prepare or rules of {provider.name}")
        try:
            subject = Subject(provider, self.samples, again)
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
        if isinstance(case, Found) or self.replays is None:
            return _finding(Found(rule, message))
        path = self.replays / f"{rule}.json"
        write_replay(path, self.plugin.name, rule, case)
        return _finding(Found(rule, message), str(path))


def _make(folder: Path) -> None:
    """Make the folder of replays before anything is found that could not be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnusableSamples(f"{folder}: cannot hold replays: {problem.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UnusableSamples(f"{folder}: cannot hold replays: it cannot be written to")


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
