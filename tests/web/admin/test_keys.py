"""Who uses which key: each request with one counts it."""

from __future__ import annotations

from pathlib import Path

from tests.support.scenarios.inbox import admin
from tests.support.settings_file import with_operator
from tests.support.stack import running_stack


async def test_each_use_of_a_key_is_counted(tmp_path: Path) -> None:
    """Of tenants and operators, with the time of the last; another tenant's are not among those of one."""
    async with running_stack(tmp_path, change=with_operator) as stack:
        for tenant in ("acme", "acme", "globex"):
            assert (await stack.call("GET", "/v1/payments", tenant=tenant)).status == 200
        rows = (await admin(stack, "GET", "/admin/v1/keys")).json["data"]
        assert [(one["kind"], one["tenant"], one["id"], one["uses"]) for one in rows] == [
            ("operator", None, "operator", 1),
            ("tenant", "acme", "k1", 2),
            ("tenant", "globex", "k1", 1),
        ]
        assert all(one["last_used"].startswith("20") for one in rows)
        [only] = (await admin(stack, "GET", "/admin/v1/keys?tenant=globex")).json["data"]
        assert (only["tenant"], only["uses"]) == ("globex", 1)
