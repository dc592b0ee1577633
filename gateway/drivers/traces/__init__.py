"""Traces by OpenTelemetry, where the extra ``otel`` is installed and a collector is named; else it is not imported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.drivers.traces.spans import Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables of which one names the collector. Source: the OpenTelemetry specification, OTLP exporter."""

_log = logging.getLogger("gateway")


def make_traces(environ: Mapping[str, str]) -> Traces | None:
    """Begin to trace where the environment names a collector; None where it does not, or the extra is missing."""
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from gateway.drivers.traces.spans import exporting
    except ImportError:
        _log.warning("traces are not sent: the extra otel is not installed")
        return None
    return exporting()
