"""What operators hear about: each occurrence is a line in the log, a count, and a call of each listener.

``report`` is called where it happens, once. It is not for what every healthy request does.
"""

from __future__ import annotations

import enum
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

log = logging.getLogger("gateway")


class Occurrence(enum.StrEnum):
    """What happened."""

    STARTED = "started"
    STOPPED = "stopped"
    SETTINGS_LOADED = "settings_loaded"
    SETTINGS_RELOADED = "settings_reloaded"
    RELOAD_FAILED = "reload_failed"
    STORE_NEAR_FULL = "store_near_full"
    STORE_HAS_ROOM = "store_has_room"
    TENANT_NEAR_BUDGET = "tenant_near_budget"
    CREDENTIALS_REFUSED = "credentials_refused"
    LOGIN_FAILED = "login_failed"
    OPERATION_UNKNOWN = "operation_unknown"
    OPERATION_STILL_UNKNOWN = "operation_still_unknown"
    CALLBACK_REFUSED = "callback_refused"
    CALLBACKS_REFUSED = "callbacks_refused"
    REVIEW_RAISED = "review_raised"
    TRANSITION_REFUSED = "transition_refused"
    SUCCESS_AFTER_FAILURE = "success_after_failure"
    UNKNOWN_PROVIDER_STATUS = "unknown_provider_status"
    CAPTURE_DEADLINE_NEAR = "capture_deadline_near"
    ENDPOINT_DISABLED = "endpoint_disabled"


class Line(NamedTuple):
    """How an occurrence is logged, and what an operator does about it; "" for nothing."""

    level: int
    sentence: str
    action: str = ""


LINES: Mapping[Occurrence, Line] = {
    Occurrence.STARTED: Line(logging.INFO, "listening"),
    Occurrence.STOPPED: Line(logging.INFO, "stopped"),
    Occurrence.SETTINGS_LOADED: Line(logging.INFO, "settings loaded"),
    Occurrence.SETTINGS_RELOADED: Line(logging.INFO, "settings loaded"),
    Occurrence.RELOAD_FAILED: Line(
        logging.ERROR,
        "the settings were not reloaded",
        "Correct what `problem` names, try `gateway check`, then `gateway reload`; the previous version stays in use.",
    ),
    Occurrence.STORE_NEAR_FULL: Line(
        logging.ERROR,
        "the disk is almost full: new payments are refused",
        "Free or add disk space; then new payments are accepted again automatically.",
    ),
    Occurrence.STORE_HAS_ROOM: Line(logging.WARNING, "the disk has space again: new payments are accepted"),
    Occurrence.TENANT_NEAR_BUDGET: Line(
        logging.WARNING,
        "a tenant's storage budget runs out",
        "Raise `limits.tenant_bytes`, or ask the tenant what it stores.",
    ),
    Occurrence.CREDENTIALS_REFUSED: Line(
        logging.ERROR,
        "the provider refuses our credentials",
        "Compare the account's credentials with the provider's portal, then `gateway reload`.",
    ),
    Occurrence.LOGIN_FAILED: Line(
        logging.ERROR,
        "a login failed",
        "`refused`: correct the account's credentials, then `gateway reload`; else the provider cannot be reached.",
    ),
    Occurrence.OPERATION_UNKNOWN: Line(
        logging.WARNING,
        "the outcome of an operation is unknown",
        "Wait for a lookup or a callback; else look at the provider's portal, then `gateway payments review settle`.",
    ),
    Occurrence.OPERATION_STILL_UNKNOWN: Line(
        logging.WARNING,
        "the outcome of an operation is still unknown",
        "Look at the provider's portal, then `gateway payments review settle OPERATION`.",
    ),
    Occurrence.CALLBACK_REFUSED: Line(
        logging.WARNING,
        "callback refused",
        "`gateway inbox show CALLBACK` explains it; after a correction `gateway inbox reverify CALLBACK`.",
    ),
    Occurrence.CALLBACKS_REFUSED: Line(
        logging.WARNING,
        "callbacks of an account are refused again and again",
        "`gateway inbox list --account ACCOUNT --verdict refused`: a changed secret, or a stranger.",
    ),
    Occurrence.REVIEW_RAISED: Line(
        logging.WARNING,
        "a payment needs a review",
        "`gateway payments show PAYMENT`, compare with the provider's portal, then `gateway payments review resolve`.",
    ),
    Occurrence.TRANSITION_REFUSED: Line(
        logging.WARNING,
        "a proved report does not fit the payment's state",
        "`gateway payments show PAYMENT`: often a repetition; a review is raised where money is concerned.",
    ),
    Occurrence.SUCCESS_AFTER_FAILURE: Line(
        logging.ERROR,
        "a payment that had ended was paid",
        "Refund it at the provider, or deliver and `gateway payments review resolve` with the state captured.",
    ),
    Occurrence.UNKNOWN_PROVIDER_STATUS: Line(
        logging.WARNING,
        "the provider named a status that is not known",
        "Ask the provider what it means, and add it to the plugin; until then it moves no payment.",
    ),
    Occurrence.CAPTURE_DEADLINE_NEAR: Line(
        logging.WARNING,
        "a capture deadline is near",
        "Ask the tenant to capture or to cancel; afterwards the provider may void the payment.",
    ),
    Occurrence.ENDPOINT_DISABLED: Line(
        logging.WARNING,
        "a webhook endpoint is disabled",
        "Tell the tenant; when it is repaired `gateway endpoints enable TENANT`, then `gateway deliveries redeliver`.",
    ),
}

Listener = Callable[[Occurrence, Mapping[str, object]], None]
"""Is called with what happened and the fields of its line, in the gateway's loop: be quick."""


class Occurrences:
    """Counts since the start, and who listens. One for all versions of the settings."""

    def __init__(self) -> None:
        self.counts: Counter[Occurrence] = Counter()
        self.listeners: list[Listener] = []

    def report(self, occurrence: Occurrence, fields: Mapping[str, object], fault: BaseException | None = None) -> None:
        """Log, count and tell. Never raises."""
        line = LINES[occurrence]
        # The place of the caller: by it the log knows lines that repeat.
        log.log(line.level, line.sentence, extra=fields, exc_info=fault, stacklevel=3)
        self.counts[occurrence] += 1
        for listener in self.listeners:
            try:
                listener(occurrence, fields)
            except Exception:  # what happened goes on all the same
                log.exception("a listener failed", extra={"kind": str(occurrence)})


class Reporting(Protocol):
    """The gateway, as far as it has occurrences."""

    @property
    def occurrences(self) -> Occurrences:
        """Its counts and listeners."""
        ...


def report(gw: Reporting, occurrence: Occurrence, fault: BaseException | None = None, /, **fields: object) -> None:
    """Log, count and tell what happened. ``fields``: of the log's allow-list. Never raises."""
    gw.occurrences.report(occurrence, fields, fault)
