"""``python -m tests.crash.cluster.short_lease SECONDS serve …``: the gateway with shorter leases, in proportion."""

from __future__ import annotations

import sys
from datetime import timedelta

from gateway.cli import main
from gateway.drivers.store import nodes
from gateway.flows import runtime
from gateway.flows.background import nodes as renewing

if __name__ == "__main__":
    share = timedelta(seconds=float(sys.argv.pop(1))) / nodes.LEASE
    nodes.LEASE *= share
    nodes.MARGIN *= share
    renewing.RENEW_SECONDS *= share
    renewing.RENEW_AGAIN_SECONDS *= share
    renewing.LOOK_SECONDS *= share
    runtime.SILENCE_MARGIN_SECONDS *= share
    main()
