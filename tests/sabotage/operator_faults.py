"""Faults in what operators rely on: audit trail, approvals, resolutions, erasure, rotation, proxies, logs, status."""

from __future__ import annotations

from tests.sabotage.fault import Edit, Fault, of_tests, simple


def _of_tests(*paths: str) -> tuple[str, ...]:
    return of_tests("--tb=no", *paths)


OPERATOR_HARNESSES = {
    "identities": _of_tests(
        "tests/drivers/test_store_audit.py",
        "tests/flows/test_audit_chain.py",
        "tests/web/admin/test_audit.py",
        "tests/web/admin/test_roles.py",
        "tests/web/admin/test_approvals.py",
    ),
    "resolutions": _of_tests("tests/flows/payments/test_resolve.py", "tests/web/admin/test_payments.py"),
    "erasure": _of_tests(
        "tests/flows/background/test_retention.py", "tests/flows/customers", "tests/web/admin/test_customers.py"
    ),
    "rotation": _of_tests(
        "tests/flows/background/test_secret_fingerprint.py", "tests/flows/callbacks/test_rotated_secrets.py"
    ),
    "proxies": _of_tests("tests/web/test_proxies.py"),
    "sight": _of_tests(
        "tests/drivers/test_telemetry.py",
        "tests/flows/test_request_ids.py",
        "tests/flows/status",
        "tests/cli/test_status.py",
        "tests/web/admin/test_metrics.py",
        "tests/web/admin/test_search.py",
        "tests/flows/background/test_operator_events.py",
    ),
}
"""By area, the tests of which one must fail."""

OPERATOR_FAULTS = (
    simple(
        "leave a resolution out of the audit trail",
        "identities",
        "gateway/flows/payments/review.py",
        "    rows = [] if act is None else [_audited(gw, act, loaded.payment, made.payment)]\n",
        "    rows: list[Statement] = []\n",
    ),
    simple(
        "write the row of a resolution after it",
        "resolutions",
        "gateway/flows/payments/review.py",
        "    return (await commit_change(gw, loaded, made, rows=rows)).change.payment\n",
        "    payment = (await commit_change(gw, loaded, made)).change.payment\n"
        "    await gw.store.commit(payment.tenant, rows)\n"
        "    return payment\n",
    ),
    Fault(
        "hash a row of the audit trail without the one before",
        "identities",
        (
            Edit(
                "gateway/drivers/store/audit.py",
                "sha256_hex(hash || ' ' || mac || ' ' || (sequence + 1)",
                "sha256_hex((sequence + 1)",
            ),
            Edit("gateway/drivers/store/audit.py", "{before.hash} {before.mac} {row.sequence}", "{row.sequence}"),
        ),
    ),
    simple(
        "let the asking key approve",
        "identities",
        "gateway/flows/approvals.py",
        "    if key.id == found.key_id or person_of(key.id, key.name) == person_of(found.key_id, found.key_name):\n",
        "    if key.id != found.key_id and person_of(key.id, key.name) == person_of(found.key_id, found.key_name):\n",
    ),
    simple(
        "let another key of the same person approve",
        "identities",
        "gateway/flows/approvals.py",
        "    if key.id == found.key_id or person_of(key.id, key.name) == person_of(found.key_id, found.key_name):\n",
        "    if key.id == found.key_id:\n",
    ),
    simple(
        "do what waits for approval at once",
        "identities",
        "gateway/web/routing.py",
        "gw.settings.server.admin.approvals > 1\n",
        "gw.settings.server.admin.approvals > 2\n",
    ),
    simple(
        "let a read key act",
        "identities",
        "gateway/web/routing.py",
        """self.role or ("read" if self.method in _READING else "operate")""",
        """self.role or "read\"""",
    ),
    simple(
        "accept an expired operators' key",
        "identities",
        "gateway/web/auth.py",
        """    request[ABOUT]["operator"] = key.id
    _refuse_expired(request, key)
""",
        """    request[ABOUT]["operator"] = key.id
""",
    ),
    simple(
        "resolve a payment in a stale version",
        "resolutions",
        "gateway/flows/payments/review.py",
        "    if version not in (None, payment.version):\n",
        "    if version is not None and version > payment.version:\n",
    ),
    simple(
        "forget that an operator stated the capture",
        "resolutions",
        "gateway/core/resolution.py",
        "        stated=_transaction(payment, decided) if is_unconfirmed else None,\n",
        "        stated=None,\n",
    ),
    simple(
        "confirm a statement again and again",
        "resolutions",
        "gateway/core/resolution.py",
        "    builder.is_news = True\n    builder.set(stated=None)\n",
        "    builder.is_news = True\n",
    ),
    simple(
        "keep the customer in webhooks",
        "erasure",
        "gateway/flows/customers/erase.py",
        "doc, event.body and eraser.body(event.body))",
        "doc, event.body)",
    ),
    simple(
        "keep the customer in the inbox",
        "erasure",
        "gateway/flows/customers/erase.py",
        "    unit += [_erased_callback(eraser, tenant, callback) for callback in records.callbacks]\n",
        "",
    ),
    simple(
        "keep the customer in callbacks of no payment",
        "erasure",
        "gateway/flows/customers/find.py",
        "        if eraser.holds(row.text):\n",
        "        if eraser.holds(row.suffix):\n",
    ),
    simple(
        "keep the customer in stored answers",
        "erasure",
        "gateway/flows/customers/erase.py",
        "operation.answer and eraser.body(operation.answer))",
        "operation.answer)",
    ),
    Fault(
        "keep the customer in the search index",
        "erasure",
        (
            Edit(
                "gateway/flows/customers/erase.py",
                "    terms = [] if place is None else [search_index.forget(place)]\n",
                "    terms: list[Statement] = []\n",
            ),
            Edit(
                "gateway/flows/customers/erase.py",
                "                await search.renew(gw, tenant, payment_id)",
                "                pass",
            ),
        ),
    ),
    simple(
        "erase a payment that is still open",
        "erasure",
        "gateway/flows/customers/erase.py",
        "    return (wanted.is_asked_for or is_old) and _has_ended(gw, loaded)\n",
        "    return wanted.is_asked_for or is_old\n",
    ),
    Fault(
        "prune webhooks that are still on their way",
        "erasure",
        (
            Edit(
                "gateway/flows/background/retention.py",
                "        old = [identifier for identifier, found in page if found == status]\n",
                '        old = [identifier for identifier, found in page if found in (status, "pending")]\n',
            ),
            Edit(
                "gateway/drivers/store/deliveries.py",
                '    theirs = f" WHERE tenant = ? AND status = ? AND',
                "    theirs = f\" WHERE tenant = ? AND status IN (?, 'pending') AND",
            ),
        ),
    ),
    simple(
        "ignore the secret before the rotation",
        "rotation",
        "gateway/drivers/settings/accounts.py",
        "        for number, secret in enumerate(secrets)\n",
        "        for number, secret in enumerate(secrets[:1])\n",
    ),
    simple(
        "start with any secret",
        "rotation",
        "gateway/flows/background/secret_fingerprint.py",
        "    if any([await part.metadata.secret_fingerprint() not in known for part in gw.store.parts]):\n",
        "    if not known:\n",
    ),
    Fault(
        "believe a header from anybody",
        "proxies",
        (
            Edit("gateway/web/proxies.py", "        if not self.has(peer):\n", "        if not self._networks:\n"),
            Edit(
                "gateway/web/proxies.py",
                '        found = _parsed(peer or "")\n        while',
                '        found = _parsed(hops.pop() if hops else peer or "")\n        while',
            ),
        ),
    ),
    simple(
        "read the hops from the left",
        "proxies",
        "gateway/web/proxies.py",
        "            before = _parsed(hops.pop())\n",
        "            before = _parsed(hops.pop(0))\n",
    ),
    simple(
        "believe one of two headers that disagree",
        "proxies",
        "gateway/web/proxies.py",
        "found.pop() if len(found) == 1 else",
        "found.pop() if found else",
    ),
    Fault(
        "store operators' webhooks after the change",
        "sight",
        (
            Edit(
                "gateway/flows/commit.py",
                "    if gw.settings.operator_webhooks and _may_be_noted(version.change):\n"
                "        for occurrence, fields in occurrences_of(version.change):\n"
                "            rows += rows_to_operators(gw, occurrence, fields)\n",
                "",
            ),
            Edit(
                "gateway/flows/background/operator_events.py",
                "        if occurrence in STORED_WITH_CHANGE:\n",
                "        if occurrence in ():\n",
            ),
        ),
    ),
    simple(
        "leave the request out of its events",
        "sight",
        "gateway/flows/commit.py",
        "replace(event, request_id=current_request.get()) if event is not None else None\n",
        "event\n",
    ),
    simple(
        "drop warnings with the healthy lines",
        "sight",
        "gateway/drivers/telemetry.py",
        "        return record.levelno >= logging.WARNING or self.has(vars(record))\n",
        "        return self.has(vars(record))\n",
    ),
    simple(
        "need nobody for a review",
        "sight",
        "gateway/flows/status/needs_person.py",
        "    if status.reviews.count:\n",
        "    if status.reviews.count > NAMED:\n",
    ),
    simple(
        "find only what was indexed before",
        "sight",
        "gateway/flows/search.py",
        "        return await catch_up(gw, BATCHES_BEFORE_SEARCH)\n",
        "        return await catch_up(gw, 0)\n",
    ),
    simple(
        "count refused callbacks as recorded",
        "sight",
        "gateway/web/provider_callbacks.py",
        '    return verdict.name, verdict.reason or ""\n',
        '    return "recorded", ""\n',
    ),
)
