"""The hosted page of a simulated provider: plain HTML, one form per button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from aiohttp import web

import gateway
from gateway.testing.simulator.outbox import Answered


def page(title: str, text: str, html: str = "", *, status: int = 200) -> web.Response:
    """A page that says that it is a simulator's."""
    name = f"{escape(title)} simulator"
    body = f"<!doctype html><title>{name}</title><h1>{name}</h1><p>{escape(text)}</p>{html}"
    return web.Response(text=body, status=status, content_type="text/html")


def buttons(path: str, labels: Mapping[str, str]) -> str:
    """A form for each button: its word in the path, and its label."""
    return "".join(
        f'<form method="post" action="{escape(path)}/{escape(word)}"><button>{escape(label)}</button></form>'
        for word, label in labels.items()
    )


def form(target: gateway.Form) -> str:
    """A form that the browser posts to go on."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in target.fields.items()
    )
    return f'<form method="post" action="{escape(target.url)}">{fields}<button>Go on</button></form>'


def after(answered: Sequence[Answered], target: gateway.Form | None) -> str:
    """What the page says after a button: how each callback was answered, and the form to go on with."""
    said = "".join(f"<p>callback answered {one.status} {escape(one.body)}</p>" for one in answered)
    return said + (form(target) if target is not None else "")
