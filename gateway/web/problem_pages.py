"""``/problems/{code}``: the page behind the ``type`` of an error, readable without scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import re

from aiohttp import web

from gateway.core.errors import PROBLEMS, TenantError
from gateway.core.problem_guides import GUIDES, example
from gateway.web.app_keys import GATEWAY

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "h1{font-size:1.4rem}h2{font-size:1rem;margin:1.5rem 0 0}p{margin:.25rem 0}"
    "code,pre{font:14px/1.45 ui-monospace,monospace;background:#f2f4f7;border-radius:4px}"
    "code{padding:.1rem .3rem}pre{padding:.8rem;overflow-x:auto}a{color:#1451b8}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe5ec}code,pre{background:#222a33}a{color:#7fb0ff}}"
)
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{code}</title><style>{style}</style></head>
<body>
<h1><code>{code}</code> HTTP {status}</h1>
<h2>What happened</h2><p>{title}.</p>
<h2>Why</h2><p>{why}</p>
<h2>What to do</h2><p>{remedy}</p>
<h2>Example</h2><pre>{example}</pre>
<p><a href="../docs">All routes</a></p>
</body>
</html>
"""
_CODE = re.compile(r"`([^`]+)`")


async def problem_page(request: web.Request) -> web.Response:
    """``GET /problems/{code}``: what an error code means. Raises ``not_found``, which lists the codes."""
    code = request.match_info["code"]
    if code not in PROBLEMS:
        raise TenantError("not_found", f"there is no such error code; known are {', '.join(PROBLEMS)}")
    page = _page(code, request[GATEWAY].public_path)
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": _POLICY})


@functools.cache
def _page(code: str, folder: str) -> str:
    problem, guide = PROBLEMS[code], GUIDES[code]
    return _PAGE.format(
        code=code,
        style=_STYLE,
        status=problem.status,
        title=html.escape(problem.title),
        why=_as_html(guide.why),
        remedy=_as_html(guide.remedy),
        example=html.escape(json.dumps(example(code, folder), indent=2)),
    )


def _as_html(text: str) -> str:
    """A sentence with its code words set as code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(text))
