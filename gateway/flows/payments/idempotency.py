"""Do what a tenant asks exactly once per idempotency key, however often the request comes.

The key's row is written by the transaction that reserves the operation, by nothing else: a request that was refused
leaves no row. A key exists once, so a repeated request cannot reserve; before any error is returned the row is looked
up, and a request with a known key gets its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from gateway.core.errors import Conflict, GatewayError, InDoubt, TenantError, Unavailable
from gateway.core.payment import Operation, Status
from gateway.core.signing import keyed_hash
from gateway.core.views import operation_answer, payment_json
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import statements
from gateway.drivers.store.reads import IdempotencyRecord
from gateway.flows.commit import commit_submission
from gateway.flows.payments.intent import Submission
from gateway.flows.payments.submit import require_lasting, reserve_by, submit
from gateway.flows.payments.waiting import pauses
from gateway.flows.runtime import Gateway
from gateway.flows.storage import BUDGET_USED_UP
from gateway.flows.tasks import ConflictRetry

REUSED = "was used for another request: use a new key, or repeat that request unchanged"

REPLAY_WAIT_SECONDS = 2.0
"""How long, in seconds, a repeated request waits for the first one's outcome."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's request under its idempotency key. ``fingerprint`` is equal for equal requests."""

    tenant: str
    idempotency_key: str
    fingerprint: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's changing request is answered with: HTTP status and body bytes, and which payment it is about.

    ``account``: of its operation, where that is known.
    """

    status: int
    body: bytes
    payment_id: str
    account: str | None = None
    is_replayed: bool = False


async def run(
    gw: Gateway, claim: Claim, plan: Callable[[], Awaitable[Submission]], *, asks_provider: bool = True
) -> Answer:
    """Do what a request asks for exactly once per idempotency key, however often it comes.

    ``plan`` reads, checks and builds; it is called again when another writer was first. ``asks_provider``: it may ask
    the provider too, which is not asked again for a repeated request. Raises what ``plan`` raises.
    """
    retry = ConflictRetry()
    row = await record_of(gw, claim) if asks_provider else None
    while row is None:
        try:
            submission = await plan()
            await reserve(gw, submission, claim.fingerprint)
        except InDoubt:
            raise
        except GatewayError as problem:
            row = await record_of(gw, claim)  # what stopped this request may be its own operation
            if row is None:
                raise_unless_overtaken(problem)
                retry.lost()
        else:
            return await submit_and_answer(gw, claim, submission)
    return await replay(gw, claim, row)


async def record_of(gw: Gateway, claim: Claim) -> IdempotencyRecord | None:
    """The row of a request's key; None for a key that was never used."""
    return await gw.store.idempotency_record(claim.tenant, claim.idempotency_key)


def raise_unless_overtaken(problem: GatewayError) -> None:
    """Raise what stopped a request, unless another writer was first and another attempt may succeed."""
    if not isinstance(problem, Conflict) or problem.on == "merchant_reference":
        raise problem
    if problem.on == statements.STORAGE_BUDGET:
        raise TenantError("storage_budget_exceeded", BUDGET_USED_UP) from None


def reserve(gw: Gateway, submission: Submission, fingerprint: str) -> Awaitable[None]:
    """Commit the idempotency row, the operation, and what comes with it, in one transaction.

    The key comes first: a repeated request conflicts on its key, whatever else would stop it.
    """
    entry = submission.account
    require_lasting(gw, entry)
    rows = [statements.claim_idempotency_key(submission.operation, fingerprint), *submission.rows]
    return reserve_by(gw, submission, commit_submission(gw, entry.tenant, submission.versions, rows))


async def submit_and_answer(gw: Gateway, claim: Claim, submission: Submission) -> Answer:
    """Send what was reserved. Answer what was committed as its outcome; 202 while it is open."""
    operation, outcome = submission.operation, None
    if operation.status is Status.SENDING:
        task = gw.tasks.start(operation.id, submit(gw, submission))
        outcome = await gw.tasks.result_of(task, gw.settings.timeouts.tenant_answer)
    else:  # it was done before the store was restored: the next check asks for its outcome
        gw.check_timer.no_later_than(0)
    if outcome is not None:
        about, account = operation.payment_id, operation.account
        return Answer(status=outcome.status, body=outcome.body, payment_id=about, account=account)
    try:
        return await answer_of(gw, claim)
    except Unavailable:  # it was done, or is being done: "nothing was done" would be a lie
        raise in_progress("is still running") from None


async def answer_if_repeated(gw: Gateway, claim: Claim) -> Answer | None:
    """The answer of a request that cannot be read, where its key was used; None for a new key. Raises as ``replay``."""
    row = await record_of(gw, claim)
    return None if row is None else await replay(gw, claim, row)


async def replay(gw: Gateway, claim: Claim, row: IdempotencyRecord) -> Answer:
    """Answer a repeated request: the stored answer, or a 409 or 202 while its operation is open."""
    if not is_same_request(gw, claim, row):
        raise TenantError("idempotency_key_reused", REUSED)
    if row.answer is None:
        row = await wait_for_answer(gw, claim, row)
    if row.answer is not None and row.answer_status is not None:
        return Answer(
            status=row.answer_status,
            body=row.answer.encode(),
            payment_id=row.payment_id,
            account=row.account,
            is_replayed=True,
        )
    age = milliseconds(gw.clock.now()) - row.created_at
    if age < gw.settings.timeouts.tenant_answer * 1000:
        operation = await gw.store.operation(claim.tenant, row.payment_id, row.operation_id)
        raise in_progress(status_of(gw, operation))
    return await open_answer(gw, claim.tenant, row)


def is_same_request(gw: Gateway, claim: Claim, row: IdempotencyRecord) -> bool:
    """Whether a request is the one that used its key first."""
    return row.fingerprint == claim.fingerprint or row.fingerprint in erased_fingerprints(gw, claim.fingerprint)


def erased_fingerprints(gw: Gateway, fingerprint: str) -> list[str]:
    """What is kept of a request's fingerprint once its customer is erased: nobody can try requests against it.

    Under each of the server's secrets, that of today first.
    """
    return [keyed_hash(secret, fingerprint) for secret in gw.settings.server.secrets]


async def wait_for_answer(gw: Gateway, claim: Claim, row: IdempotencyRecord) -> IdempotencyRecord:
    """Wait a little for the first request's outcome: for its work here, or else until the store has its outcome."""
    if gw.tasks.is_running(row.operation_id):
        await gw.tasks.wait_for(row.operation_id, REPLAY_WAIT_SECONDS)
        return await record_of(gw, claim) or row
    for pause in pauses(REPLAY_WAIT_SECONDS):
        await gw.clock.sleep(pause)
        row = await record_of(gw, claim) or row
        if row.answer is not None:
            break
    return row


def status_of(gw: Gateway, operation: Operation | None) -> str:
    """What is known of the first request, and who can resolve it once it has been sent."""
    if operation is None or operation.status is not Status.UNKNOWN:
        return "is still running"
    if gw.has_account(operation) and gw.entry(operation).can_look_up:
        return "has no outcome yet: the provider is being asked"
    return "has no outcome yet, which only the provider's callback or an operator can resolve"


def in_progress(standing: str) -> TenantError:
    """Repeat the request under the same key: it has no answer yet, or its answer cannot be read just now."""
    detail = f"the first request under this Idempotency-Key {standing}; repeat it with the same key"
    return TenantError("request_in_progress", detail, retry_after=1)


async def answer_of(gw: Gateway, claim: Claim) -> Answer:
    """The stored answer of a request whose operation was submitted, or 202 while it is open."""
    row = await record_of(gw, claim)
    if row is None:
        raise Unavailable("the row of this Idempotency-Key is missing")
    if row.answer is not None and row.answer_status is not None:
        about, account = row.payment_id, row.account
        return Answer(status=row.answer_status, body=row.answer.encode(), payment_id=about, account=account)
    return await open_answer(gw, claim.tenant, row)


async def open_answer(gw: Gateway, tenant: str, row: IdempotencyRecord) -> Answer:
    """202 with the payment as it is now. Never stored. What the request asks for has changed nothing: no alerts.

    A replacement was begun by an update of another payment: that one has an alert, and is what is shown.
    """
    operation = await gw.store.operation(tenant, row.payment_id, row.operation_id)
    asked = (operation.answers_with if operation is not None else None) or row.payment_id
    loaded = await gw.store.payment(tenant, asked)
    if loaded is None or operation is None:
        raise Unavailable("the operation of this Idempotency-Key is missing")
    payment = loaded.payment if operation.answers_with is not None else replace(loaded.payment, alerts=())
    body = operation_answer(payment, payment_json(payment, loaded.open_operation), operation)
    return Answer(status=202, body=body, payment_id=row.payment_id, account=operation.account)
