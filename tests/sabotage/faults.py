"""The faults that ``make sabotage`` plants, each with the harness that must catch it.

A fault is a plausible mistake: exact texts and their replacements. A test checks that every text is still in the code.
"""

from __future__ import annotations

from tests.sabotage.fault import Edit, Fault, of_tests, simple
from tests.sabotage.operator_faults import OPERATOR_FAULTS, OPERATOR_HARNESSES
from tests.sabotage.shared_store_faults import SHARED_STORE_FAULTS, SHARED_STORE_HARNESSES

HARNESSES = {
    "simulation": ("-m", "tests.simulation", "--seeds", "250", "--until-red"),
    "crashes": ("-m", "tests.crash", "--kills", "22", "--stops", "1"),
    "model": of_tests("tests/web/test_api_model.py", "--hypothesis-profile", "unshrunk"),
    **OPERATOR_HARNESSES,
    **SHARED_STORE_HARNESSES,
}
"""The command of each harness; it must end with 0 on the unchanged code, and not with 0 on a fault."""


_STRANDED = """        await resolve(gw, operation, await fact_of_interrupted(gw, operation, "the gateway stopped"))
"""
_SILENT = """        return unanswered(str(silent))
"""
_REVISION = "\" WHERE tenant = ? AND id = ? AND revision = ? AND COALESCE(open_operation, '') = ?\""

FAULTS = (
    simple(
        "resend a sending operation",
        "simulation",
        "gateway/flows/payments/submit.py",
        _STRANDED,
        """        from gateway.core.commands import CancelPayment, CompletePayment, RefundPayment
        from gateway.flows.payments.intent import members_of

        again = {Kind.CANCEL: CancelPayment, Kind.COMPLETE: CompletePayment, Kind.REFUND: RefundPayment}
        if operation.kind in again:
            loaded = await load(gw, operation)
            more = {"reason": None} if operation.kind is Kind.REFUND else {}
            command = again[operation.kind](**members_of(loaded.payment, operation), **more)
            await submit(gw, await submission_of(gw, gw.entry(loaded.payment), loaded.payment, command, operation))
        else:
            await resolve(gw, operation, Unknown(message="the gateway stopped"))
""",
    ),
    Fault(
        "repeat what no provider lets repeat",
        "simulation",
        (
            Edit(
                "gateway/flows/payments/intent.py",
                "    if type(command) not in entry.rules.repeatable:\n",
                "    if type(command) in entry.rules.repeatable:\n",
            ),
            Edit("gateway/core/repeats.py", " and COMMAND_OF[operation.kind] in policy.rules.repeatable", ""),
        ),
    ),
    simple(
        "add the amount of a refund told by name twice",
        "simulation",
        "gateway/core/operation_outcome.py",
        "    return payment.refunded if grown >= operation.amount else min(payment.refunded + operation.amount,",
        "    return payment.refunded if grown >= operation.amount else min(payment.refunded + operation.amount * 2,",
    ),
    Fault(
        "repeat under another operation id",
        "simulation",
        (
            Edit(
                "gateway/flows/payments/repeat.py",
                "        command = _command_of(gw, entry, payment, operation)\n",
                "        again = _command_of(gw, entry, payment, operation)\n"
                '        command = replace(again, operation_id=gw.new_id("op"))\n',
            ),
            Edit(
                "gateway/flows/payments/repeat.py",
                " and intent.digest(gw, entry, command, request) == kept.digest:",
                ":",
            ),
        ),
    ),
    simple(
        "give capacity back for a reversed refund",
        "simulation",
        "gateway/core/named_outcomes.py",
        "    is_reversed = ended.kind is Kind.REFUND and",
        "    builder.set(refunded=builder.payment.refunded - ended.amount)\n"
        "    is_reversed = ended.kind is Kind.REFUND and",
    ),
    simple(
        "count a part twice that its total has shown",
        "simulation",
        "gateway/core/operation_outcome.py",
        "apply_captured_total(builder, operation.before.captured + operation.amount,",
        "apply_captured_total(builder, builder.payment.captured + operation.amount,",
    ),
    simple(
        "treat an interrupted operation as declined",
        "simulation",
        "gateway/flows/payments/submit.py",
        _STRANDED,
        """        await resolve(gw, operation, Declined(code="stopped", message="the gateway stopped"))
""",
    ),
    simple(
        "commit the event separately",
        "simulation",
        "gateway/flows/commit.py",
        """            await gw.store.commit(change.payment.tenant, unit)
""",
        """            await gw.store.commit("", [one for one in unit if "INTO events" not in one.sql])
            await gw.store.commit("", [one for one in unit if "INTO events" in one.sql])
""",
    ),
    simple(
        "acknowledge a callback before commit",
        "simulation",
        "gateway/flows/callbacks/apply.py",
        """                await commit_change(gw, found.before, evaluation.change, rows=rows)
""",
        """                gw.tasks.start("later", commit_change(gw, found.before, evaluation.change, rows=rows))
""",
    ),
    simple(
        "acknowledge what the store refused",
        "simulation",
        "gateway/flows/callbacks/receive.py",
        """        log.error("a callback could not be stored", extra=extra)
        return Busy()
""",
        """        return Recorded()
""",
    ),
    Fault(
        "drop the version check",
        "simulation",
        (
            Edit("gateway/drivers/store/statements.py", _REVISION, _REVISION.replace("revision = ?", "? >= 0")),
            Edit(
                "gateway/drivers/store/statements.py",
                """    return _insert_event(columns, webhook, "version")
""",
                """    return _insert_event(columns, webhook, None)
""",
            ),
        ),
    ),
    simple(
        "trust a hint",
        "simulation",
        "gateway/flows/payments/lookup.py",
        """    hints = await gw.store.due_hints(tenant, payment_id)
    key, received_at""",
        """    hints = await gw.store.due_hints(tenant, payment_id)
    if loaded is not None and hints and loaded.payment.state in MAY_COMPLETE:
        from msgspec.structs import replace

        paid = replace(loaded.payment, completed=True)
        seen = Observation(stage=Stage.AUTHORIZED)
        policy = gw.entry(paid).policy
        made = apply(paid, loaded.open_operation, seen, cause=Cause.CALLBACK, policy=policy, at=gw.clock.now())
        await commit_change(gw, loaded, made)
    key, received_at""",
    ),
    simple(
        "authorize without a completion",
        "simulation",
        "gateway/core/states.py",
        """    if stage is Stage.AUTHORIZED and not builder.payment.completed:
        step = STAY
""",
        "",
    ),
    simple(
        "omit the idempotency row",
        "simulation",
        "gateway/flows/payments/idempotency.py",
        "[statements.claim_idempotency_key(submission.operation, fingerprint), *submission.rows]",
        "list(submission.rows)",
    ),
    simple(
        "check a refund outside the transaction",
        "simulation",
        "gateway/drivers/store/statements.py",
        """    " WHERE tenant = ? AND id = ? AND revision = ? AND open_operation IS NULL"
""",
        """    " WHERE tenant = ? AND id = ? AND ? >= 0 AND open_operation IS NULL"
""",
    ),
    simple(
        "send before the operation is committed",
        "simulation",
        "gateway/flows/payments/idempotency.py",
        """            await reserve(gw, submission, claim.fingerprint)
""",
        """            reserving = gw.tasks.start("reserve", reserve(gw, submission, claim.fingerprint))
            gw.tasks.start(submission.operation.id, submit(gw, submission))
            await reserving
""",
    ),
    simple(
        "treat a timeout as a refusal",
        "simulation",
        "gateway/flows/payments/submit.py",
        _SILENT,
        """        return Declined(code="silent", message=str(silent))
""",
    ),
    simple(
        "send again after a timeout",
        "simulation",
        "gateway/flows/payments/submit.py",
        _SILENT,
        """        return NeverSent(message=str(silent), may_follow=True)
""",
    ),
    simple(
        "treat a 5xx as a refusal",
        "simulation",
        "gateway/core/response_outcome.py",
        """        return Unknown(message=f"http_{response.status}")
""",
        """        return Declined(code=str(response.status), message="http")
""",
    ),
    simple(
        "accept one contrary lookup",
        "simulation",
        "gateway/core/operation_outcome.py",
        """    if operation.contrary_since is None:
        builder.operation = replace(operation, contrary_since=at)
    elif at - operation.contrary_since >= policy.quiet_period:
        _rule_out(builder)
""",
        """    _rule_out(builder)
""",
    ),
    simple(
        "apply an event twice",
        "simulation",
        "gateway/flows/callbacks/apply.py",
        """    if not is_left_to_commit and await gw.store.inbox.was_applied(entry.tenant, entry.name, event.event_id):
""",
        """    if False:
""",
    ),
    simple(
        "record a delivery before its answer",
        "simulation",
        "gateway/flows/webhooks/dispatch.py",
        """            outcome = await _traced_attempt(gw, webhook, row)
""",
        """            from msgspec.structs import replace

            await self._store([deliveries.store_attempt(replace(row, status="delivered", next_attempt_at=None))])
            outcome = await _traced_attempt(gw, webhook, row)
""",
    ),
    simple(
        "rebuild a webhook's body on each attempt",
        "simulation",
        "gateway/flows/webhooks/attempt.py",
        "body=row.body.encode())",
        'body=row.body.replace(":", ": " if row.attempts else ":", 1).encode())',
    ),
    simple(
        "leave an operation off the schedule",
        "simulation",
        "gateway/drivers/store/statements.py",
        '" due_at = CASE WHEN due_at < ? THEN due_at ELSE ? END"',
        '" due_at = NULLIF(?, ?)"',
    ),
    simple(
        "mark an interrupted operation as not sent",
        "crashes",
        "gateway/flows/payments/submit.py",
        _STRANDED,
        """        await resolve(gw, operation, NeverSent(message="the gateway stopped"))
""",
    ),
    simple(
        "answer a provider before the commit",
        "crashes",
        "gateway/web/provider_callbacks.py",
        """        verdict = admission.admit(new.is_proved, new.count) or await receive.accept(gw, new)
""",
        """        gw.tasks.start(f"callback {new.id}", receive.accept(gw, new))
        verdict: Verdict = Recorded()
""",
    ),
    simple(
        "omit the idempotency row, on the real server",
        "crashes",
        "gateway/flows/payments/idempotency.py",
        "[statements.claim_idempotency_key(submission.operation, fingerprint), *submission.rows]",
        "list(submission.rows)",
    ),
    simple(
        "count every attempt as delivered",
        "crashes",
        "gateway/flows/webhooks/attempt.py",
        """    if response is not None and 200 <= response.status < 300:
""",
        """    if True:
""",
    ),
    simple(
        "replay under another request body",
        "model",
        "gateway/flows/payments/idempotency.py",
        """    if not is_same_request(gw, claim, row):
        raise TenantError("idempotency_key_reused", REUSED)
    if row.answer is None:
""",
        """    if row.answer is None:
""",
    ),
    simple(
        "refund more than is left",
        "model",
        "gateway/flows/payments/refund.py",
        " or amount > left",
        "",
    ),
    *OPERATOR_FAULTS,
    *SHARED_STORE_FAULTS,
)
