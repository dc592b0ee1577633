"""The spans: what they are about, by a list of attributes, and how it ended. No text of an error, body or header.

A trace begins with each request and each delivery. Whatever trace a caller names is not taken up, and providers and
tenants learn of none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode

ATTRIBUTES = frozenset({"tenant", "account", "provider", "route", "payment_id", "operation", "outcome"})
"""What a span may carry; the rest is dropped."""

CLOSE_SECONDS = 2.0
"""How long the end waits for the collector to take the last spans."""

KINDS = {"request": SpanKind.SERVER, "provider call": SpanKind.CLIENT, "webhook delivery": SpanKind.CLIENT}
"""By the name of a span; the others are internal."""

T = TypeVar("T")
Note = Callable[..., None]
"""Adds attributes to a span."""


class Traces:
    """Makes the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("gateway")

    @contextmanager
    def span(self, name: str, **known: object) -> Iterator[Note]:
        """A span for the time of the block. An exception that passes is its outcome, by type."""
        kind = KINDS.get(name, SpanKind.INTERNAL)
        with self._tracer.start_as_current_span(
            name, kind=kind, record_exception=False, set_status_on_exception=False
        ) as span:
            _note(span, known)
            try:
                yield lambda **more: _note(span, more)
            except Exception as fault:
                _note(span, {"outcome": type(fault).__name__})
                span.set_status(StatusCode.ERROR)
                raise

    async def over(self, name: str, work: Awaitable[T], outcome: Callable[[T], object], **known: object) -> T:
        """Await ``work`` in a span; ``outcome`` says how it ended."""
        with self.span(name, **known) as note:
            made = await work
            note(outcome=outcome(made))
            return made

    async def close(self) -> None:
        """Send what is left, for a short while: a collector that hangs must not keep the gateway."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_SECONDS)


def exporting() -> Traces:
    """Send spans as the standard variables ``OTEL_…`` say."""
    named = Resource({"service.name": "payment-gateway"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def _note(span: Span, given: dict[str, object]) -> None:
    for name, value in given.items():
        if name in ATTRIBUTES and value is not None:
            span.set_attribute(name, str(value))
