"""``log`` of the settings in a real process: level and share of healthy lines, also after a reload."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.cli import running, write
from tests.support.settings_file import rewrite

KEY = "a-key-of-acme-for-this-test"


def with_log(**log: Any) -> Any:
    """Change ``log``, and let ``KEY`` call."""

    def change(settings: dict[str, Any]) -> None:
        settings["log"] = log
        settings["tenants"]["acme"]["keys"] = [{"id": "k1", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]

    return change


async def ask(url: str, *paths: str) -> list[int]:
    """Ask with the key; the statuses."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        return [(await http.get(url + path)).status for path in paths]


async def test_level_and_share_are_those_of_the_settings(tmp_path: Path) -> None:
    """What was refused is there, what was served is not; after a reload only errors are."""
    path = write(tmp_path)
    rewrite(tmp_path, with_log(sample=0))
    with running("serve", "--config", path) as process:
        public, admin = process.urls
        assert await ask(public, "/v1/payments", "/v1/payments/pay_1", "/v1/payments?a=b") == [200, 404, 422]
        assert await ask(admin, "/livez", "/readyz") == [200, 200]
        rewrite(tmp_path, with_log(level="error"))
        process.popen.send_signal(signal.SIGHUP)
        assert process.popen.stderr is not None
        lines: list[Any] = []
        while [one["message"] for one in lines].count("settings loaded") < 2:
            lines.append(json.loads(next(process.popen.stderr)))
        assert await ask(public, "/v1/payments/pay_2") == [404]
        process.popen.send_signal(signal.SIGTERM)
        _, errors = process.ended()
    start = next(line for line in lines if line["message"] == "starting")
    assert (len(start["hash"]), bool(start["version"])) == (64, True)
    requests = [line for line in lines if line["message"] == "request"]
    assert [(one["status"], one["code"], one["tenant"]) for one in requests] == [
        (404, "not_found", "acme"),
        (422, "validation_failed", "acme"),
    ]
    assert errors == ""
