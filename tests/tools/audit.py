"""Ask PyPI's advisories about everything that is installed beside the gateway; say so where they could not be asked.

``make audit`` runs it. Exit codes: 0 nothing known, 1 a known weakness, 2 not one package could be asked about.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from typing import Any

OWN = "tenant-payment-gateway"


def audited(program: str) -> list[dict[str, Any]]:
    """What ``pip-audit`` says of each package of this environment: its ``vulns``, or why it was skipped."""
    options = ["--path", sysconfig.get_path("purelib"), "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run([program, *options], capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:  # it prints no document when it fails itself
        return []
    return [one for one in found if one["name"] != OWN]


def report(packages: list[dict[str, Any]]) -> int:
    """Print what is known and how many packages were not asked about; return the exit code."""
    asked = [one for one in packages if "vulns" in one]
    if not asked:
        print("PyPI's advisory service did not answer here: nothing was audited")
        return 2
    known = [(one, weakness) for one in asked for weakness in one["vulns"]]
    for one, weakness in known:
        print(
            f"{one['name']} {one['version']}: {weakness['id']}, fixed in {', '.join(weakness['fix_versions']) or '-'}"
        )
    print(f"{len(asked)} packages audited, {len(packages) - len(asked)} not, {len(known)} known weaknesses")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(report(audited(sys.argv[1])))
