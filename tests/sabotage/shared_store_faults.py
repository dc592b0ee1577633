"""Faults in what several processes on one store rely on: units in doubt, claims, leases, migrations, copies, stores."""

from __future__ import annotations

from tests.sabotage.fault import of_tests, simple


def _of_tests(*paths: str) -> tuple[str, ...]:
    return of_tests("--tb=no", *paths)


SHARED_STORE_HARNESSES = {
    "postgresql": _of_tests(
        "tests/drivers/test_store_postgresql_commits.py",
        "tests/drivers/test_store_postgresql_connection.py",
        "tests/drivers/test_store_postgresql_schema.py",
        "tests/drivers/test_store_postgresql_versions.py",
    ),
    "nodes": _of_tests(
        "tests/drivers/test_store_claims.py",
        "tests/drivers/test_store_claimable.py",
        "tests/flows/test_nodes.py",
        "tests/flows/test_several_nodes.py",
        "tests/flows/test_claims.py",
        "tests/flows/webhooks/test_due.py",
        "tests/web/test_several_gateways.py",
    ),
    "copies": _of_tests("tests/drivers/test_store_copying.py", "tests/cli/test_store.py"),
    "stores": _of_tests(
        "tests/drivers/test_store_many.py",
        "tests/drivers/test_settings_store_target.py",
        "tests/drivers/test_settings_restart.py",
    ),
    "workers": _of_tests("tests/cli/workers/test_supervisor.py", "tests/drivers/workers"),
}
"""By area, the tests of which one must fail."""

SHARED_STORE_FAULTS = (
    simple(
        "take a unit in doubt for committed",
        "postgresql",
        "gateway/drivers/store/postgresql/commits.py",
        "if rows_of(found) == [(True,)]:",
        "if not rows_of(found):",
    ),
    simple(
        "send a unit in doubt again at once",
        "postgresql",
        "gateway/drivers/store/postgresql/commits.py",
        '            task = asyncio.create_task(self._resolve_doubt(one), name="unit in doubt")\n'
        "            self._doubts.add(task)\n"
        "            task.add_done_callback(self._doubts.discard)\n",
        "            self._retry(one)\n",
    ),
    simple(
        "send a unit again under its old mark",
        "postgresql",
        "gateway/drivers/store/postgresql/commits.py",
        '        one.mark = f"',
        '        one.mark = one.mark or f"',
    ),
    simple(
        "stay with a server that only reads",
        "postgresql",
        "gateway/drivers/store/postgresql/connection.py",
        "if isinstance(outcome, Lost) or (isinstance(outcome, Refused) and outcome.sqlstate == READ_ONLY):",
        "if isinstance(outcome, Lost):",
    ),
    simple(
        "append to the audit trail beside another",
        "postgresql",
        "gateway/drivers/store/postgresql/schema.py",
        "FROM audit_head FOR UPDATE",
        "FROM audit_head",
    ),
    simple(
        "index events that others may come before",
        "postgresql",
        "gateway/drivers/store/postgresql/schema.py",
        '    f" WHERE rowid < {NOT_ENDED}",',
        '    "",',
    ),
    simple(
        "migrate without the lock",
        "postgresql",
        "gateway/drivers/store/postgresql/migrations.py",
        '    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))\n',
        "",
    ),
    simple(
        "claim what a living node holds",
        "nodes",
        "gateway/drivers/store/claims.py",
        'f" OR {HOLDER_IS_OVER} RETURNING tenant, id"',
        'f" OR NOT {HOLDER_IS_OVER} RETURNING tenant, id"',
    ),
    simple(
        "begin what was claimed too late",
        "nodes",
        "gateway/flows/claims.py",
        "return list(rows.values()) if _may_begin(gw, tenant, by) else []",
        "return list(rows.values())",
    ),
    simple(
        "release no check with its outcome",
        "nodes",
        "gateway/flows/background/reconcile.py",
        ', *claims.release(gw, "check", row.tenant, row.payment_id)',
        "",
    ),
    simple(
        "keep claims of what others have done",
        "nodes",
        "gateway/flows/claims.py",
        "    if done := set(ours) - set(rows):\n"
        "        await gw.store.commit(tenant, [claims.release(kind, by.node, tenant, done)])\n",
        "",
    ),
    simple(
        "give up what a living node sends",
        "nodes",
        "gateway/flows/payments/submit.py",
        " or not await gw.node.is_alive(operation.tenant, operation.node)",
        " or True",
    ),
    simple(
        "send after a pause what others may have given up",
        "nodes",
        "gateway/flows/payments/submit.py",
        "if operation.node is not None and not",
        "if False and not",
    ),
    simple(
        "look up for a hint in each node",
        "nodes",
        "gateway/flows/callbacks/receive.py",
        "is_free = not gw.node.is_shared or await _is_first(gw, payment, now)",
        "is_free = True",
    ),
    simple(
        "go on with a copy at the beginning of a table",
        "copies",
        "gateway/drivers/store/copying/copier.py",
        "mark.after if table == mark.table else ()",
        "()",
    ),
    simple(
        "compare stores by their counts",
        "copies",
        "gateway/drivers/store/copying/comparison.py",
        "return int.from_bytes(hashlib.sha256(text).digest())",
        "return 0",
    ),
    simple(
        "claim everything in the first store",
        "stores",
        "gateway/drivers/store/many.py",
        "return await self.of(tenant).claim(tenant, statement)",
        "return await self._home.claim(tenant, statement)",
    ),
    simple(
        "stop all tenants with one store",
        "stores",
        "gateway/drivers/store/many.py",
        "if problems and (needs_all or not found):",
        "if problems:",
    ),
    simple(
        "name one place for two stores",
        "stores",
        "gateway/drivers/settings/store_target.py",
        "if places.setdefault(target.url, name) != name:",
        "if False:",
    ),
    simple(
        "leave a tenant's rows behind in a reload",
        "stores",
        "gateway/drivers/settings/restart.py",
        "    if moved:  # its rows are where they were",
        "    if False:",
    ),
    simple(
        "start a healthy worker later each time",
        "workers",
        "gateway/cli/workers/supervisor.py",
        "if time.monotonic() - process.began >= HEALTHY_SECONDS:",
        "if False:",
    ),
    simple(
        "give each worker a whole limit",
        "workers",
        "gateway/web/server.py",
        "worker.share(settings.limits.connections)",
        "settings.limits.connections",
    ),
)
