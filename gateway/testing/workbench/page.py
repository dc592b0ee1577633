"""The page: the payment, a form for each thing that can be done, and every call of the plugin, the newest first."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import msgspec

from gateway.core.wire import Callback, HttpRequest, HttpResponse
from gateway.provider import Account
from gateway.testing.workbench.benches import Bench
from gateway.testing.workbench.recording import REPLAYED, Step

STYLE = (
    "body{font:15px system-ui;margin:2em;max-width:75em}pre{background:#f4f4f4;padding:.6em;white-space:pre-wrap;"
    "word-break:break-all}form{display:inline-block;border:1px solid #ccc;padding:.6em;margin:.3em;vertical-align:top}"
    ".real,.bad{color:#b00020;font-weight:bold}input,textarea,select{margin:.2em}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
SHOWN = 60
"""Steps on the page."""


def page(bench: Bench, title: str, payment: Any, forms: Iterable[tuple[str, Mapping[str, str]]], note: str) -> str:
    """All of it; every text masked and escaped."""
    entry = bench.bed.entry
    where = (
        f'<p class="real">Real: every form reaches the provider of account {escape(entry.owner)}. Money may move.</p>'
        if bench.is_real
        else f"<p>Simulated: account {escape(entry.owner)}; no call leaves this machine.</p>"
    )
    steps = [_step(bench, one) for one in [*bench.recorder.steps.values()][: -SHOWN - 1 : -1]]
    state = _pre(bench, json.dumps(payment, indent=1, ensure_ascii=False)) if payment else "<p>none yet</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{where}<p><b>{escape(bench.masked(note))}</b></p>"
        f"{''.join(_form(bench, *one) for one in forms)}"
        f'<form method="get"><b>look again</b> <button>load</button></form>'
        f"<h2>The payment</h2>{state}<h2>Calls, the newest first</h2>{''.join(steps)}</body></html>"
    )


def _form(bench: Bench, name: str, inputs: Mapping[str, str]) -> str:
    """A form: its inputs with what they hold at first; one of several lines for headers and bodies."""
    parts = []
    for key, value in inputs.items():
        label, held = escape(key), escape(bench.masked(value))
        is_long = key in ("headers", "body")
        field = (
            f'<textarea name="{label}" cols="40"></textarea>' if is_long else f'<input name="{label}" value="{held}">'
        )
        parts.append(f"<label>{label} {field}</label><br>")
    begin = f'<form method="post" action="press/{escape(name)}"><b>{escape(name)}</b><br>'
    return f"{begin}{''.join(parts)}<button>press</button></form>"


def _step(bench: Bench, step: Step) -> str:
    outcome = step.outcome
    given = "".join(_pre(bench, shown(one)) for one in step.given if not isinstance(one, Account))
    bad = outcome.wrong or (f"raised {type(outcome.error).__name__}: {outcome.error}" if outcome.error else "")
    came = f'<p class="bad">{escape(bench.masked(bad))}</p>' if bad else ""
    came += "" if outcome.error else _pre(bench, shown(outcome.value))
    buttons = "".join(_button(step, what) for what in ("replay", "save")) if step.member in REPLAYED else ""
    note = f"<p><b>{escape(bench.masked(step.note))}</b></p>" if step.note else ""
    return f"<h3>{step.number}. {escape(step.member)}</h3>{given}<p>gives</p>{came}{note}{buttons}"


def _button(step: Step, what: str) -> str:
    return f'<form method="post" action="steps/{step.number}/{what}"><button>{what}</button></form>'


def _pre(bench: Bench, text: str) -> str:
    hidden = {name.lower() for name in bench.bed.entry.provider.secret_headers} | {"authorization", "cookie"}
    lines = [
        f"{name}: ***" if (name := line.partition(": ")[0]).lower() in hidden else line for line in text.split("\n")
    ]
    text = bench.masked("\n".join(lines))
    return f"<pre>{escape(text)}</pre>"


def shown(value: Any) -> str:
    """A value for people: messages as they are written, facts and commands by the members that say something."""
    match value:
        case HttpRequest():
            return _message(f"{value.method} {value.url}", value)
        case HttpResponse():
            return _message(f"HTTP {value.status}", value)
        case Callback():
            query = f"?{value.query}" if value.query else ""
            return _message(f"{value.method} /{value.suffix}{query}", value)
        case msgspec.Struct():
            members = {name: getattr(value, name) for name in value.__struct_fields__}
            said = [f"  {name} = {one}" for name, one in members.items() if one not in (None, "", (), {})]
            return "\n".join([type(value).__name__, *said])
        case tuple():
            return "\n".join(map(shown, value)) or "an empty tuple: nothing for us"
        case dict():
            return json.dumps(value, indent=1, ensure_ascii=False)
        case _:
            return str(value)


def _message(first: str, message: HttpRequest | HttpResponse | Callback) -> str:
    headers = [f"{name}: {value}" for name, value in message.headers]
    return "\n".join([first, *headers, "", message.body.decode(errors="replace")])
