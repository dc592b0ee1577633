"""nginx in front of the gateway: who the caller is, and the documentation in a browser. ``make nginx`` runs it.

The files of ``deploy/nginx`` run as they stand, but for addresses, ports and certificates: nginx with TLS and a path, a
second nginx in front of it, and one that only writes ``X-Real-IP``. Callers are told apart by the loopback address that
they connect from. Needs nginx and Chromium, as Debian packages them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import aiohttp
import trustme

from gateway.drivers.store.inbox import InboxFilter
from tests.support.clients.psp_callbacks import credentials, new_payment, signed_body
from tests.support.stack import GatewayStack, running_stack

DEPLOY = Path(__file__).parents[2] / "deploy" / "nginx"
HOST = "pay.example"
BELOW = "/gw"
BRIDGE, STRANGER, NGINX = "127.0.0.7", "127.0.0.8", "127.0.0.1"
"""Addresses that callers and proxies connect from: only the bridge may call back."""

LONGEST = 50.0
"""Seconds that everything may take."""

ONLY_REAL_IP = """
server {
    listen 127.0.0.1:%d;
    location /gw/ { proxy_pass http://gateway/; proxy_set_header X-Real-IP $remote_addr; }
}
"""

MAIN = """
daemon off; pid nginx.pid; error_log error.log; worker_processes 1;
events {}
http {
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include *.conf.made;
}
"""


class Front(NamedTuple):
    """What runs in front: the ports of the three, and the authority of their certificate."""

    gateway: int
    edge: int
    real_ip: int
    trust: ssl.SSLContext


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((NGINX, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def deployed(name: str, folder: Path, changes: Mapping[str, str]) -> None:
    """Write a file of ``deploy/nginx`` with other addresses; each of the texts must be in it."""
    text = (DEPLOY / name).read_text()
    for before, after in changes.items():
        assert before in text, f"{name} lacks {before}"
        text = text.replace(before, after)
    (folder / f"{name}.made").write_text(text)


@contextlib.asynccontextmanager
async def nginx(folder: Path, gateway: int, front: Front, authority: trustme.CA) -> AsyncIterator[None]:
    """Run the three proxies for the time of the block."""
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = {f"/etc/nginx/tls/{HOST}.{kind}": "tls.pem" for kind in ("pem", "key")}
    ours = {"listen 443": f"listen {NGINX}:{front.gateway}", "127.0.0.1:8080": f"{NGINX}:{gateway}"}
    deployed("gateway.conf", folder, tls | ours)
    theirs = {"listen 443": f"listen {NGINX}:{front.edge}", "10.0.0.6:443": f"{NGINX}:{front.gateway}"}
    deployed("edge.conf", folder, tls | theirs | {"/etc/ssl/certs/ca-certificates.crt": "ca.pem"})
    (folder / "real_ip.conf.made").write_text(ONLY_REAL_IP % front.real_ip)
    (folder / "nginx.conf").write_text(MAIN)
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    try:
        await _listening(front.edge, process)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    while True:
        if process.returncode is not None:
            sys.exit((await process.communicate())[0].decode())
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(NGINX, port)
            writer.close()
            return
        await asyncio.sleep(0.05)


class Callers:
    """Calls back as a bridge does, through one of the proxies or past them, from one address."""

    def __init__(self, stack: GatewayStack, front: Front) -> None:
        self._stack, self._front = stack, front

    async def call(self, base: str, address: str, **headers: str) -> tuple[int, str]:
        """A right callback: its status, and who the gateway thinks has called."""
        stack = self._stack
        payment = await new_payment(stack)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"crm-pay-token": credentials(stack)[1], "Content-Type": "application/json"}
        url = f"{base}/callbacks/{stack.entry('acme', 'psp-main').endpoint_id}/pay/callback"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0))) as http,
            http.post(url, data=signed_body(stack, payment), headers=sent, **self.tls(base)) as answer,
        ):
            status = answer.status
        [newest] = await stack.gateway.store.inbox.newest("acme", InboxFilter(limit=1))
        return status, newest.remote

    async def read(self, url: str) -> tuple[int, str]:
        """Status and text of a page."""
        async with self._stack.http.get(url, **self.tls(url)) as answer:
            return answer.status, await answer.text()

    def tls(self, url: str) -> dict[str, Any]:
        """How a call verifies the proxy's certificate."""
        return {"ssl": self._front.trust, "server_hostname": HOST} if url.startswith("https:") else {}


async def callers(stack: GatewayStack, front: Front) -> None:
    """Who has called, by each way in."""
    one, two = (f"https://{NGINX}:{port}{BELOW}" for port in (front.gateway, front.edge))
    real, direct = f"http://{NGINX}:{front.real_ip}{BELOW}", stack.url
    forged = {"X_Forwarded_For": BRIDGE}
    rows: list[tuple[str, str, str, dict[str, str], tuple[int, str]]] = [
        ("the true caller", one, BRIDGE, {}, (204, BRIDGE)),
        ("the true caller, who wrote a header himself", one, BRIDGE, {"X_Forwarded_For": STRANGER}, (204, BRIDGE)),
        ("a stranger", one, STRANGER, {}, (400, STRANGER)),
        ("a forged X-Forwarded-For", one, STRANGER, forged, (400, STRANGER)),
        ("a forged Forwarded", one, STRANGER, {"Forwarded": f"for={BRIDGE}"}, (400, STRANGER)),
        ("a forged X-Real-IP", one, STRANGER, {"X_Real_IP": BRIDGE}, (400, STRANGER)),
        ("two proxies", two, BRIDGE, {}, (204, BRIDGE)),
        ("two proxies, a forged X-Forwarded-For", two, STRANGER, forged, (400, STRANGER)),
        (
            "two proxies, a trusted one forged",
            two,
            STRANGER,
            {"X_Forwarded_For": f"{BRIDGE}, {NGINX}"},
            (400, STRANGER),
        ),
        ("X-Real-IP alone", real, BRIDGE, {}, (400, NGINX)),
        (
            "X-Real-IP and a forged Forwarded that disagrees",
            real,
            STRANGER,
            {"Forwarded": "for=_x"} | forged,
            (400, NGINX),
        ),
        ("past the proxies, with a header", direct, STRANGER, forged, (400, STRANGER)),
    ]
    made = Callers(stack, front)
    for name, base, address, headers, wanted in rows:
        found = await made.call(base, address, **headers)
        report(name, found == wanted, f"{found}, should be {wanted}")


async def pages(stack: GatewayStack, front: Front, folder: Path) -> None:
    """What names the gateway's address, and the page that a browser makes of the document."""
    made, public = Callers(stack, front), f"https://{HOST}:{front.edge}{BELOW}"
    base = f"https://{NGINX}:{front.edge}{BELOW}"
    _, document = await made.read(f"{base}/openapi.json")
    report("servers of the document", f'"servers":[{{"url":"{public}"' in document, document[:300])
    _, problem = await made.read(f"{base}/v1/payments")
    report("the type of an error", f'"type":"{BELOW}/problems/unauthorized"' in problem, problem)
    status, page = await made.read(f"https://{NGINX}:{front.edge}{BELOW}/problems/unauthorized")
    report("the page behind it", status == 200 and f"{BELOW}/problems/unauthorized" in page, page[:300])
    named = stack.gateway.callback_url(stack.entry("acme", "psp-main"))
    report("the callback address", named.startswith(f"{public}/callbacks/"), named)
    log = folder / "access.log"
    before = len(log.read_text().splitlines())
    shown = await chromium(f"{public}/docs")
    asked = log.read_text().splitlines()[before:]
    failed = [line for line in asked if '" 200 ' not in line and "favicon" not in line]
    operations = shown.count("opblock-summary-path")
    is_right = operations > 20 and not failed and sum("/gw/docs/" in line for line in asked) >= 4
    report(f"/docs in Chromium ({operations} operations)", is_right, "\n".join(failed) or shown[-2000:])


async def chromium(url: str) -> str:
    """The page as a browser has it when its scripts have run."""
    found = os.environ.get("CHROMIUM") or "chromium"
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
        network = ["--ignore-certificate-errors", f"--host-resolver-rules=MAP {HOST} {NGINX}", "--no-proxy-server"]
        process = await asyncio.create_subprocess_exec(
            found, *options, *network, "--virtual-time-budget=20000", url, stdout=PIPE, stderr=PIPE
        )
        return (await process.communicate())[0].decode()


def report(name: str, is_right: bool, otherwise: str) -> None:
    """Say how a check ended; the first that fails ends everything."""
    print(f"{name}: {'ok' if is_right else 'FAILED'}", flush=True)
    if not is_right:
        sys.exit(otherwise)


async def main() -> None:
    """Run the gateway behind nginx, and every check."""
    for program in ("nginx", os.environ.get("CHROMIUM") or "chromium"):
        if shutil.which(program) is None:
            sys.exit(f"make nginx: there is no {program} here; Debian's packages are nginx and chromium")
    began, authority = perf_counter(), trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    front = Front(*free_ports(3), trust)

    def change(settings: dict[str, Any]) -> None:
        settings["server"] |= {"public_url": f"https://{HOST}:{front.edge}{BELOW}/", "trusted_proxies": [NGINX]}
        settings["tenants"]["acme"]["accounts"]["psp-main"]["config"]["source_addresses"] = [BRIDGE]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with asyncio.timeout(LONGEST), running_stack(folder / "gateway", change=change) as stack:
            port = int(stack.url.rpartition(":")[2])
            (folder / "nginx").mkdir()
            async with nginx(folder / "nginx", port, front, authority):
                await callers(stack, front)
                await pages(stack, front, folder / "nginx")
    print(f"all of it: {perf_counter() - began:.1f} s")


if __name__ == "__main__":
    asyncio.run(main())
