"""What a tenant reads of a call to a provider that failed."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.web.problems import problem_of


@pytest.mark.parametrize("word", ["address_not_allowed", "https_required", "connect_failed"])
def test_a_tenant_does_not_learn_why_nothing_was_sent(word: str) -> None:
    """Whatever kept a lookup from leaving the gateway, tenants read one sentence."""
    problem = problem_of(NotSent(word, connection=True, why="the host name was not found"))
    assert problem.detail == "no connection to the provider could be made"


@pytest.mark.parametrize("error", [OutcomeUnknown("timeout"), ProviderError("the provider refused a lookup")])
def test_a_tenant_learns_what_became_of_a_lookup(error: ProviderError) -> None:
    """What the provider did with a lookup is told in its own words."""
    assert problem_of(error).detail == str(error)
