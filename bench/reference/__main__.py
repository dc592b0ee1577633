"""Serve a variant of the reference: ``python -m bench.reference usual|tuned PORT PROVIDER_PORT DATABASE``."""

from __future__ import annotations

import copy
import socket
import sys

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from bench.reference.app import make_app
from gateway.cli.foreground import freeze_startup_memory


class Server(uvicorn.Server):
    """Says ``ready`` when it listens, and has the gateway's garbage collector settings."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        freeze_startup_memory()
        print("ready", flush=True)


def main(variant: str, port: int, provider_port: int, database: str) -> None:
    """Serve until the process ends."""
    logs = copy.deepcopy(LOGGING_CONFIG)
    logs["handlers"]["access"]["stream"] = "ext://sys.stderr"  # stdout is a pipe that is read for one line
    app = make_app(variant, provider_port, database)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=logs, access_log=variant == "usual")
    Server(config).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
