"""Traces of a real payment: what spans there are, what they may say, and that nothing of it is there when it is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.drivers import traces
from gateway.drivers.traces.spans import ATTRIBUTES, Traces
from gateway.web import server
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.servers.collector import collecting
from tests.support.stack import GatewayStack, psp_body, running_stack


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans of the next stack are."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(server, "make_traces", lambda _: Traces(provider))
    return kept


@pytest.fixture
async def traced(spans: InMemorySpanExporter, tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack that traces."""
    async with running_stack(tmp_path) as opened:
        yield opened


def said(found: ReadableSpan) -> Mapping[str, object]:
    """A span's attributes."""
    return dict(found.attributes or {})


async def test_a_payment_leaves_its_spans(traced: GatewayStack, spans: InMemorySpanExporter) -> None:
    """Its request with the provider's call inside, its callback with what that did, its webhooks."""
    payment = await new_payment(traced)
    await call_back(traced, payment)
    await traced.webhook(payment["id"], "payment.captured")
    await traced.gateway.tasks.drain(5)
    by_name = {}
    for one in spans.get_finished_spans():
        by_name.setdefault(one.name, one)
    psp = {"tenant": "acme", "account": "psp-main", "provider": "psp_open_api"}
    request, call = by_name["request"], by_name["provider call"]
    assert said(request) == {
        "tenant": "acme",
        "account": "psp-main",
        "payment_id": payment["id"],
        "route": "/v1/payments",
        "outcome": "201",
    }
    assert said(call) == {**psp, "payment_id": payment["id"], "operation": "create", "outcome": "succeeded"}
    assert call.parent is not None
    assert call.parent.span_id == request.context.span_id
    assert said(by_name["callback"]) == {**psp, "outcome": "recorded"}
    delivery = {"tenant": "acme", "payment_id": payment["id"], "outcome": "delivered"}
    assert said(by_name["webhook delivery"]) == delivery


async def test_a_failed_call_says_how(traced: GatewayStack, spans: InMemorySpanExporter) -> None:
    """By the type of the error, whose text stays here."""
    await traced.faults("psp", silence="after_effect")
    await traced.create(psp_body())
    (call,) = [one for one in spans.get_finished_spans() if one.name == "provider call"]
    assert (said(call)["outcome"], call.status.is_ok, list(call.events)) == ("OutcomeUnknown", False, [])
    assert call.status.description is None


async def test_probes_leave_no_span(traced: GatewayStack, spans: InMemorySpanExporter) -> None:
    """They come every second."""
    for url in (f"{traced.admin_url}/metrics", f"{traced.url}/healthz"):
        assert (await traced.visit(url)).status == 200
    assert spans.get_finished_spans() == ()


def test_what_is_not_on_the_list_is_dropped(spans: InMemorySpanExporter) -> None:
    """Whatever somebody notes some day."""
    made = server.make_traces({})
    assert made is not None
    with made.span("request", tenant="acme", body="secret", payment_id=None) as note:
        note(header="secret", outcome=204)
    (span,) = spans.get_finished_spans()
    assert said(span) == {"tenant": "acme", "outcome": "204"}
    assert said(span).keys() <= ATTRIBUTES


async def test_spans_go_to_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the standard variables say; the end sends what is left, and no secret is in it."""
    async with collecting() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with running_stack(tmp_path) as stack:
            payment = await new_payment(stack)
            await call_back(stack, payment)
        sent = b"".join(received)
    assert b"payment-gateway" in sent
    assert b"provider call" in sent
    assert payment["id"].encode() in sent
    assert not [word for word in (b"dana", b"Dana", b"Bearer", b"162.48", b"127.0.0.1") if word in sent]


async def test_a_collector_that_hangs_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end waits a short while for it."""
    monkeypatch.setattr("gateway.drivers.traces.spans.CLOSE_SECONDS", 0.05)
    async with collecting(hangs=True) as (url, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        made = traces.make_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        assert made is not None
        with made.span("request"):
            pass
        async with asyncio.timeout(2):
            await made.close()


def test_without_a_collector_nothing_is_traced() -> None:
    """Nor where the variable is empty."""
    assert traces.make_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Rather than not starting."""
    monkeypatch.setitem(sys.modules, "gateway.drivers.traces.spans", None)
    assert traces.make_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) is None
    assert [record.msg for record in caplog.records if record.name == "gateway"] == [
        "traces are not sent: the extra otel is not installed"
    ]


def test_nothing_is_imported_when_it_is_off() -> None:
    """Neither by a start."""
    asked = "import sys, gateway.web.server; print('opentelemetry' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert made.stdout == "False\n"
