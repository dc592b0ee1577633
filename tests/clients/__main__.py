"""What users' tools make of the OpenAPI document: linters, generated clients, a browser. ``make clients`` runs it.

A gateway with the shipped settings runs for it, also behind a proxy that serves it below a path. Each step is a program
that must end well and without a warning; the first that does not ends the run with what it printed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from time import perf_counter

from tests.support.servers.reverse_proxy import proxied
from tests.support.shipped_settings import KEY, shipped
from tests.support.stack import running_stack

HERE = Path(__file__).parent
BUILD = HERE / "build"
TOOLS = HERE / "node_modules" / ".bin"
DOCUMENT = BUILD / "openapi.json"
BELOW = "/gw"
LONGEST = 180.0
"""Seconds that one step may take."""

Step = tuple[str, list[object]]


def steps(python: str, docs: list[str]) -> list[Step]:
    """Every step, with its command; ``docs`` are the addresses of the page."""
    redocly = [TOOLS / "redocly", "lint", "--max-problems=1000", "--format=github-actions"]
    generated = ["--output-path", BUILD / "gateway_client", "--overwrite", "--meta=none"]
    found: list[Step] = [
        ("redocly recommended", [*redocly, "--extends=recommended", DOCUMENT]),
        ("redocly recommended-strict", [*redocly, "--extends=recommended-strict", DOCUMENT]),
        (
            "spectral spectral:oas",
            [TOOLS / "spectral", "lint", "--ruleset=spectral.yaml", "--fail-severity=hint", DOCUMENT],
        ),
        ("openapi-typescript", [TOOLS / "openapi-typescript", DOCUMENT, "--output", BUILD / "gateway.d.ts"]),
        ("tsc --strict", [TOOLS / "tsc", "--project", "tsconfig.json"]),
        ("a payment in TypeScript", ["node", BUILD / "js" / "whole_payment.js"]),
        ("openapi-python-client", [python, "-m", "openapi_python_client", "generate", "--path", DOCUMENT, *generated]),
        ("a payment in Python", [python, "whole_payment.py"]),
    ]
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("a browser: skipped, there is no chromium here (CHROMIUM names one)")
        return found
    return [*found, ("a browser", ["env", f"CHROMIUM={chromium}", "node", "browser.mjs", *docs])]


async def run(step: Step, gateway: str) -> None:
    """Run one step; end everything with its output when it fails or warns."""
    name, command = step
    began = perf_counter()
    environment = {**os.environ, "GATEWAY": gateway, "KEY": KEY, "PYTHONPATH": str(BUILD), "REDOCLY_TELEMETRY": "off"}
    process = await asyncio.create_subprocess_exec(
        *(str(word) for word in command), cwd=HERE, env=environment, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), LONGEST)
    said = output.decode(errors="replace").strip()
    is_good = process.returncode == 0 and "::warning" not in said
    print(f"{name}: {'ok' if is_good else 'FAILED'}, {perf_counter() - began:.1f} s", flush=True)
    if not is_good:
        sys.exit(f"{' '.join(map(str, command))}\n{said}")


async def main(python: str) -> None:
    """Run every step against a running gateway."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with running_stack(Path(folder), change=shipped) as stack, proxied(stack, BELOW) as front:
            DOCUMENT.write_text((await stack.call("GET", "/openapi.json", tenant=None)).text)
            for step in steps(python, [f"{stack.url}/docs", f"{front}/docs"]):
                await run(step, stack.url)


if __name__ == "__main__":
    asyncio.run(main(os.path.abspath(sys.argv[1])))
