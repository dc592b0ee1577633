"""``GET /metrics``: what Prometheus reads after real payments, and what it must never read."""

from __future__ import annotations

import re
import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from tests.support.clients.psp_callbacks import new_payment, post, signed_body
from tests.support.docs_pages import text_of
from tests.support.stack import GatewayStack, psp_body

FROZEN = {
    "gateway_requests_total": {"route", "method", "status"},
    "gateway_request_seconds_bucket": {"route", "method", "le"},
    "gateway_provider_calls_total": {"provider", "outcome"},
    "gateway_provider_call_seconds_bucket": {"provider", "le"},
    "gateway_callbacks_total": {"verdict", "reason"},
    "gateway_operations_open": {"status"},
    "gateway_operations_oldest_age_seconds": set(),
    "gateway_reviews_open": set(),
    "gateway_schedule_lag_seconds": set(),
    "gateway_outbox_lag_seconds": set(),
    "gateway_dead_letters": set(),
    "gateway_transitions_refused_total": set(),
    "gateway_batch_units_bucket": {"le"},
    "gateway_commit_seconds_bucket": {"le"},
    "gateway_store_bytes": set(),
    "gateway_settings_version": set(),
    "gateway_provider_clock_skew_seconds": {"provider"},
}
"""Names and labels that dashboards outside rely on."""

Sample = tuple[str, frozenset[tuple[str, str]]]


async def scraped(stack: GatewayStack) -> dict[Sample, float]:
    """Every sample of one scrape: name and labels -> number."""
    reply = await stack.visit(f"{stack.admin_url}/metrics")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(reply.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def number(samples: dict[Sample, float], name: str, **labels: str) -> float | None:
    """One number of a scrape."""
    return samples.get((name, frozenset(labels.items())))


async def test_the_names_stay(stack: GatewayStack) -> None:
    """With exactly these labels, after one payment."""
    await new_payment(stack)
    found = {name: {key for key, _ in labels} for name, labels in await scraped(stack)}
    assert {name: found.get(name) for name in FROZEN} == FROZEN


async def test_a_payment_is_counted_where_it_happens(stack: GatewayStack) -> None:
    """Its request, its call, its callbacks, its commits."""
    payment = await new_payment(stack)
    await post(stack, signed_body(stack, payment))
    await post(stack, signed_body(stack, payment), headers={"crm-pay-token": "no"})
    await stack.call("GET", "/v1/nowhere")
    await stack.call("PROPFIND", f"/callbacks/{'x' * 22}", tenant=None)
    got = await scraped(stack)
    assert number(got, "gateway_requests_total", route="/v1/payments", method="POST", status="201") == 1
    assert number(got, "gateway_request_seconds_count", route="/v1/payments", method="POST") == 1
    assert number(got, "gateway_requests_total", route="unknown", method="GET", status="404") == 1
    odd = {"route": "/callbacks/{endpoint_id}", "method": "other", "status": "404"}
    assert number(got, "gateway_requests_total", **odd) == 1
    assert number(got, "gateway_provider_calls_total", provider="psp_open_api", outcome="succeeded") == 1
    assert number(got, "gateway_provider_call_seconds_count", provider="psp_open_api") == 1
    assert number(got, "gateway_callbacks_total", verdict="recorded", reason="") == 1
    assert number(got, "gateway_callbacks_total", verdict="refused", reason="unauthentic") == 1
    assert (number(got, "gateway_batch_units_sum") or 0) >= (number(got, "gateway_commit_seconds_count") or 0) > 0


async def test_a_reload_counts(stack: GatewayStack) -> None:
    """The version rises with each that was used."""
    before = await scraped(stack)
    stack.current.changed.clear()
    stack.wanted.set()
    await stack.current.changed.wait()
    after = await scraped(stack)
    assert [number(one, "gateway_settings_version") for one in (before, after)] == [1, 2]


async def test_it_names_no_tenant_and_no_id(stack: GatewayStack) -> None:
    """Everyone who reaches the listener may read it; labels are words of closed lists."""
    payment = await new_payment(stack)
    await stack.create(psp_body(), tenant="globex")
    await post(stack, signed_body(stack, payment))
    text = (await stack.visit(f"{stack.admin_url}/metrics")).text
    found = [word for word in ("acme", "globex", "psp-main", "127.0.0.1", payment["id"], "pay_", "USD") if word in text]
    assert found == []


async def test_every_metric_is_documented(stack: GatewayStack) -> None:
    """With its labels, and none that is gone."""
    await new_payment(stack)
    told = text_of("docs/operating.md").partition("## Metrics and alerts")[2].partition("\n## ")[0]
    documented: dict[str, set[str]] = {}
    for name, labels in re.findall(r"`((?:gateway|process)_[a-z_]+)(?:\{([a-z,]+)\})?`", told):
        documented.setdefault(name, set()).update(filter(None, labels.split(",")))
    text = (await stack.visit(f"{stack.admin_url}/metrics")).text
    histograms = set(re.findall(r"^# TYPE (\S+) histogram$", text, re.MULTILINE))
    shown: dict[str, set[str]] = {}
    for name, values in await scraped(stack):
        base = name.removesuffix("_bucket")
        if base in histograms or name.removesuffix("_count").removesuffix("_sum") not in histograms:
            shown.setdefault(base, set()).update(key for key, _ in values if key != "le")
    assert documented == shown


async def test_it_is_for_operators(stack: GatewayStack) -> None:
    """The public listener does not have it."""
    assert (await stack.visit(f"{stack.url}/metrics")).status == 404


def test_a_start_does_not_import_what_a_scrape_needs() -> None:
    """It comes with the first scrape."""
    asked = "import sys, gateway, gateway.web.server; print('prometheus_client' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert made.stdout == "False\n"
