"""The tables, in a dialect every engine understands (but for ``WITHOUT ROWID``).

``tenant`` leads every key, times are Unix milliseconds.
A ``doc`` holds a Struct as JSON; the columns beside it are what SQL itself must see. What was bought with a payment
is in ``purchase``, behind ``doc``: lists, which do not show it, do not read it. ``due_at`` is when a payment must be
checked next, ``tries`` how many checks in a row changed nothing. An operation lies in its payment's row (``open_…``)
until it has its outcome, then in ``operations``, with what its request is answered with.
"""

from __future__ import annotations

from gateway.drivers.store import approvals, audit, pending_erasures, refused_requests, search_index, stored_bytes
from gateway.drivers.store.rows import columns

OPERATIONS = """
    CREATE TABLE IF NOT EXISTS operations (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
        doc TEXT NOT NULL, answer_status INTEGER, answer TEXT,
        PRIMARY KEY (tenant, payment_id, id)
    )"""

IDEMPOTENCY_KEYS = """
    CREATE TABLE IF NOT EXISTS idempotency_keys (
        tenant TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL, operation_id TEXT NOT NULL,
        payment_id TEXT NOT NULL, created_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, idempotency_key)
    )"""
"""Keys are random, so each changes a page of its own: an index of nothing but keys has few and seldom splits one."""

REFERENCE_HOLDERS = """
    CREATE TABLE IF NOT EXISTS reference_holders (
        tenant TEXT NOT NULL, account TEXT NOT NULL, merchant_reference TEXT NOT NULL, payment_id TEXT NOT NULL,
        PRIMARY KEY (tenant, account, merchant_reference)
    ) WITHOUT ROWID"""

MOMENTS = "CREATE TABLE IF NOT EXISTS moments (name TEXT PRIMARY KEY, at BIGINT NOT NULL)"

EVENTS = """
    CREATE TABLE IF NOT EXISTS events (
        tenant TEXT NOT NULL, id TEXT NOT NULL, payment_id TEXT, type TEXT NOT NULL, version INTEGER NOT NULL, doc TEXT,
        delivery_id TEXT, status TEXT, died_of TEXT, next_attempt_at BIGINT, tries INTEGER, attempts TEXT,
        created_at BIGINT, body TEXT
    )"""
"""From ``delivery_id`` on the event's webhook, null where nobody listens; it is alone in a test of an endpoint."""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS payments (
        tenant TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, provider TEXT NOT NULL,
        deposit_method TEXT, merchant_reference TEXT NOT NULL, provider_reference TEXT, state TEXT NOT NULL,
        version INTEGER NOT NULL, revision INTEGER NOT NULL, open_operation TEXT, replaced_by TEXT, review TEXT,
        created_at BIGINT NOT NULL, expired_at BIGINT, doc TEXT NOT NULL, purchase TEXT NOT NULL,
        due_at BIGINT, tries INTEGER NOT NULL DEFAULT 0, open_status TEXT, open_doc TEXT,
        PRIMARY KEY (tenant, id)
    )""",
    "CREATE INDEX IF NOT EXISTS payments_by_reference ON payments (tenant, merchant_reference)",
    """
    CREATE INDEX IF NOT EXISTS payments_by_key ON payments (tenant, account, provider_reference)
    WHERE provider_reference IS NOT NULL""",
    """
    CREATE INDEX IF NOT EXISTS open_operations ON payments (open_status, open_operation)
    WHERE open_status IS NOT NULL""",
    """
    CREATE INDEX IF NOT EXISTS payments_due ON payments (due_at, tenant, id, tries)
    WHERE due_at IS NOT NULL""",
    """
    CREATE INDEX IF NOT EXISTS payments_expired ON payments (id, tenant, provider)
    WHERE expired_at IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS payments_in_review ON payments (tenant, id) WHERE review IS NOT NULL",
    OPERATIONS,
    """
    CREATE VIEW IF NOT EXISTS all_operations AS
    SELECT tenant, payment_id, id, kind, status, doc FROM operations UNION ALL
    SELECT tenant, id, open_operation, json_extract(open_doc, '$.kind'), open_status, open_doc FROM payments
    WHERE open_status IS NOT NULL""",
    IDEMPOTENCY_KEYS,
    "CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (tenant, created_at)",
    REFERENCE_HOLDERS,
    EVENTS,
    "CREATE UNIQUE INDEX IF NOT EXISTS events_by_version ON events (tenant, payment_id, version)",
    """
    CREATE UNIQUE INDEX IF NOT EXISTS events_by_delivery ON events (tenant, delivery_id)
    WHERE delivery_id IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS deliveries_due ON events (tenant, next_attempt_at) WHERE status = 'pending'",
    "CREATE INDEX IF NOT EXISTS dead_deliveries ON events (tenant, delivery_id) WHERE status = 'dead'",
    """
    CREATE TABLE IF NOT EXISTS webhook_endpoints (
        tenant TEXT NOT NULL, url_sha256 TEXT NOT NULL, failing_since BIGINT, disabled_at BIGINT, reason TEXT,
        PRIMARY KEY (tenant)
    )""",
    """
    CREATE TABLE IF NOT EXISTS inbox (
        tenant TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, received_at BIGINT NOT NULL,
        method TEXT NOT NULL, suffix TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
        size INTEGER NOT NULL, remote TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT, detail TEXT, event_id TEXT,
        event TEXT, payment_id TEXT, tries INTEGER NOT NULL, next_attempt_at BIGINT, history TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    )""",
    """
    CREATE UNIQUE INDEX IF NOT EXISTS applied_once ON inbox (tenant, account, event_id)
    WHERE verdict = 'recorded' AND event_id IS NOT NULL""",
    """
    CREATE INDEX IF NOT EXISTS inbox_unproved ON inbox (tenant, account, payment_id, id)
    WHERE verdict = 'recorded' AND event_id IS NULL""",
    "CREATE INDEX IF NOT EXISTS inbox_by_payment ON inbox (tenant, payment_id, id)",
    "CREATE INDEX IF NOT EXISTS inbox_refused ON inbox (tenant, account, id) WHERE verdict = 'refused'",
    "CREATE INDEX IF NOT EXISTS inbox_refused_since ON inbox (received_at) WHERE verdict = 'refused'",
    """
    CREATE INDEX IF NOT EXISTS inbox_unproved_since ON inbox (received_at)
    WHERE verdict = 'recorded' AND event_id IS NULL""",
    "CREATE INDEX IF NOT EXISTS inbox_pending ON inbox (next_attempt_at) WHERE verdict = 'pending'",
    """
    CREATE TABLE IF NOT EXISTS hints (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, provider_reference TEXT NOT NULL,
        received_at BIGINT NOT NULL, due INTEGER NOT NULL,
        PRIMARY KEY (tenant, payment_id, provider_reference)
    )""",
    "CREATE INDEX IF NOT EXISTS followed_hints ON hints (received_at) WHERE due = 0",
    "CREATE TABLE IF NOT EXISTS heartbeat (id INTEGER PRIMARY KEY, at BIGINT NOT NULL)",
    MOMENTS,
    *pending_erasures.TABLES,
    stored_bytes.TABLE,
    stored_bytes.VIEW,
    *stored_bytes.TRIGGERS,
    *audit.TABLES,
    *approvals.TABLES,
    *refused_requests.TABLES,
    *search_index.TABLES,
)

VERSION = 5
"""The version of these tables. Whoever changes a table that a released gateway has made adds one, and a migration."""

WORKS_FROM = 5
"""The oldest version whose gateways may go on working on these tables, as while several nodes are upgraded."""

_SUMMARY = (
    "id tenant account provider merchant_reference money accepted_amount created_at updated_at state"
    " provider_reference captured refunded redirect_url customer_notified completed review failure alerts replaces"
    " replaced_by capture_by expires_at expired_at deadline_warnings version revision deposit_method metadata"
)
_PURCHASE = "customer order checkout fields return_url cancel_url"


def _without(members: str) -> str:
    return "json_remove(doc, {})".format(", ".join(f"'$.{member}'" for member in members.split()))


_OF_KEYS = "tenant, idempotency_key, fingerprint, operation_id, payment_id, created_at"

_COUNTED_ANEW = ("DELETE FROM stored_bytes", f"INSERT INTO stored_bytes (tenant, bytes) {stored_bytes.RECOUNT}")
"""At the end of the last migration that changes what is counted, which is by the tables of today."""


def _rebuilt(table: str, definition: str, columns: str) -> tuple[str, ...]:
    """Bring the rows of a table into a new one of the same name."""
    return (
        definition,  # of a store that has no such table yet
        f"ALTER TABLE {table} RENAME TO old",
        definition,
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old",  # noqa: S608  # our own words
        "DROP TABLE old",
    )


MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE payments ADD COLUMN purchase TEXT NOT NULL DEFAULT '{}'",
        f"UPDATE payments SET doc = {_without(_PURCHASE)}, purchase = {_without(_SUMMARY)}",  # noqa: S608  # as above
        stored_bytes.TABLE,  # counted at the end of the next migration
    ),
    2: (
        "ALTER TABLE events RENAME TO events_before",
        EVENTS,
        "INSERT INTO events SELECT e.tenant, e.id, e.payment_id, json_extract(e.doc, '$.type'), e.version, e.doc, d.id,"
        " d.status, d.died_of, d.next_attempt_at, d.tries, d.attempts, d.created_at, d.body"
        " FROM events_before e LEFT JOIN deliveries d"
        " ON d.tenant = e.tenant AND d.payment_id = e.payment_id AND d.version = e.version ORDER BY e.rowid",
        "INSERT INTO events SELECT tenant, event_id, NULL, type, version, NULL, id,"
        " status, died_of, next_attempt_at, tries, attempts, created_at, body"
        " FROM deliveries WHERE payment_id IS NULL ORDER BY rowid",
        "DROP TABLE events_before",
        "DROP TABLE deliveries",
        "ALTER TABLE payments ADD COLUMN due_at BIGINT",
        "ALTER TABLE payments ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
        "UPDATE payments SET due_at = a.due_at, tries = a.tries FROM agenda a"
        " WHERE a.tenant = payments.tenant AND a.payment_id = payments.id",
        "DROP TABLE agenda",
        "DROP INDEX payments_by_key",
        "ALTER TABLE payments ADD COLUMN open_status TEXT",
        "ALTER TABLE payments ADD COLUMN open_doc TEXT",
        "UPDATE payments SET open_status = o.status, open_doc = o.doc FROM operations o"
        " WHERE o.tenant = payments.tenant AND o.id = payments.open_operation",
        "ALTER TABLE operations RENAME TO old_operations",
        OPERATIONS,
        "INSERT INTO operations (tenant, payment_id, id, kind, status, doc, answer_status, answer)"
        " SELECT o.tenant, o.payment_id, o.id, o.kind, o.status, o.doc, k.answer_status, k.answer"
        " FROM old_operations o LEFT JOIN idempotency_keys k ON k.tenant = o.tenant AND k.operation_id = o.id"
        " AND k.idempotency_key = json_extract(o.doc, '$.idempotency_key')"
        " WHERE o.status NOT IN ('sending', 'unknown')",
        "DROP TABLE old_operations",
        *_rebuilt("idempotency_keys", IDEMPOTENCY_KEYS, _OF_KEYS),
        *_rebuilt("reference_holders", REFERENCE_HOLDERS, "tenant, account, merchant_reference, payment_id"),
        *_COUNTED_ANEW,
    ),
    3: _rebuilt("idempotency_keys", IDEMPOTENCY_KEYS, _OF_KEYS),
    4: (
        *_rebuilt("audit_log", audit.TABLE, columns(audit.AuditRow)),
        *_rebuilt("search_payments", search_index.PAYMENTS, columns(search_index.IndexedPayment)),
        "CREATE TABLE IF NOT EXISTS refused_requests (number INTEGER PRIMARY KEY, tenant TEXT, request_id TEXT,"
        " at BIGINT, route TEXT, status INTEGER, code TEXT, fields TEXT)",
        "ALTER TABLE refused_requests RENAME TO old",
        refused_requests.TABLES[0],
        "INSERT INTO refused_requests (tenant, id, request_id, at, route, status, code, fields)"
        # Their order is that of their ids, and before those that come.
        " SELECT tenant, 'rfd_0' || CAST(1000000000000000 + number AS TEXT),"
        " request_id, at, route, status, code, fields FROM old",
        "DROP TABLE old",
    ),
}
"""Version -> the statements that lead to the next one. They run before ``TABLES``, which add what is wholly new."""
