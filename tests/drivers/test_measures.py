"""What is counted, in plain numbers."""

from __future__ import annotations

from gateway.drivers.measures import RECENT_MINUTES, Durations, Histogram, Measures


def test_a_value_that_equals_a_bound_is_within_it() -> None:
    """As Prometheus reads ``le``: less or equal; what is above every bound has the last place."""
    one = Histogram((1, 2.5))
    for value in (0.5, 1, 1.1, 2.5, 3, 900):
        one.add(value)
    assert (one.counts, one.sum) == ([2, 2, 2], 908.1)


def test_a_key_has_its_histogram_from_its_first_value() -> None:
    """And keeps it."""
    found: Durations[str] = Durations()
    found["a"].add(0.1)
    found["a"].add(0.2)
    assert (list(found), sum(found["a"].counts)) == (["a"], 2)


def test_everything_begins_at_zero() -> None:
    """A new process has counted nothing."""
    new = Measures()
    counted = (new.requests, new.provider_calls, new.last_answers, new.callbacks, new.webhooks)
    assert [len(one) for one in counted] == [0] * 5
    assert (sum(new.batch_units.counts), sum(new.commit_seconds.counts), new.store_errors) == (0, 0, 0)


def test_calls_of_the_last_minutes() -> None:
    """What is older than a quarter of an hour is not recent; a young process tells of all since its start."""
    new = Measures()
    new.provider_calls["p", 500].add(0.1)
    new.remember_calls()
    assert new.recent_calls() == {("p", "unknown"): 1}
    new.provider_calls["p", 200].add(0.1)
    new.provider_calls["p", "not_sent"].add(0.1)
    for _ in range(RECENT_MINUTES):
        new.remember_calls()
    assert new.recent_calls() == {("p", "succeeded"): 1, ("p", "not_sent"): 1}
    new.remember_calls()
    assert new.recent_calls() == {}
    assert new.calls().total() == 3
