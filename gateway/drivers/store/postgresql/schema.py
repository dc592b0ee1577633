"""The tables on PostgreSQL: those of every engine, with the functions and triggers that are written otherwise here."""

from __future__ import annotations

from gateway.drivers.store import audit, claims, nodes, search_index, stored_bytes
from gateway.drivers.store.postgresql.dialect import definition, translated
from gateway.drivers.store.schema import EVENTS, TABLES

FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION expect_one(rows BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
    BEGIN
        IF rows <> 1 THEN RAISE EXCEPTION 'not one row' USING ERRCODE = 'GW001'; END IF;
        RETURN rows;
    END $$""",
    """
    CREATE OR REPLACE FUNCTION is_hinted(of_tenant TEXT, payment TEXT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        RETURN EXISTS (SELECT 1 FROM hints h WHERE h.tenant = of_tenant AND h.payment_id = payment AND h.due = 1);
    END $$""",
    """
    CREATE OR REPLACE FUNCTION is_over(node TEXT, at BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        RETURN EXISTS (SELECT 1 FROM nodes n WHERE n.id = node AND n.alive_until <= at);
    END $$""",
    """
    CREATE OR REPLACE FUNCTION json_extract(doc TEXT, path TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT doc::json #>> string_to_array(substr(path, 3), '.') $$""",
    """
    CREATE OR REPLACE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT value FROM json_array_elements_text(list::json) AS value $$""",
    """
    CREATE OR REPLACE FUNCTION clock_milliseconds() RETURNS BIGINT LANGUAGE sql VOLATILE AS
    $$ SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) $$""",
    """
    CREATE OR REPLACE FUNCTION server_timeline() RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        RETURN (SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
            FROM pg_control_system());
    EXCEPTION WHEN OTHERS THEN RETURN NULL;
    END $$""",
    """
    CREATE OR REPLACE FUNCTION sha256_hex(message TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT encode(sha256(convert_to(message, 'UTF8')), 'hex') $$""",
    """
    CREATE OR REPLACE FUNCTION hmac_sha256_hex(key TEXT, message TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE STRICT AS
    $$
    DECLARE
        padded BYTEA := convert_to(key, 'UTF8');
        inside BYTEA;
        outside BYTEA;
    BEGIN
        IF length(padded) > 64 THEN padded := sha256(padded); END IF;
        padded := padded || decode(repeat('00', 64 - length(padded)), 'hex');
        inside := padded;
        outside := padded;
        FOR place IN 0..63 LOOP
            inside := set_byte(inside, place, get_byte(padded, place) # 54);
            outside := set_byte(outside, place, get_byte(padded, place) # 92);
        END LOOP;
        RETURN encode(sha256(outside || sha256(inside || convert_to(message, 'UTF8'))), 'hex');
    END $$""",
)
"""``expect_one`` fails a unit whose statement touched another number of rows. ``is_hinted`` and ``is_over``: see
``dialect.py``; only what is volatile reads again. Paths are names: ``$.money.amount``.

HMAC: RFC 2104; the one of PostgreSQL is in an extension that not everybody may create.
"""

_TRANSACTION = "CAST(CAST({} AS text) AS bigint)"
NOT_ENDED, NOT_BEGUN = (
    _TRANSACTION.format(f"pg_snapshot_{bound}(pg_current_snapshot())") for bound in ("xmin", "xmax")
)

INSTEAD = {
    EVENTS: f"{EVENTS.rstrip().removesuffix(')').rstrip()},"
    f" rowid BIGINT NOT NULL DEFAULT {_TRANSACTION.format('pg_current_xact_id()')})",
    # Transactions are numbered when they begin to write and end in any order: one that runs may still add events
    # between those that are there.
    search_index.ORDERED_EVENTS: "CREATE OR REPLACE VIEW ordered_events AS"  # noqa: S608  # our own words
    " SELECT rowid, tenant, id, payment_id, version, doc, delivery_id FROM events"
    f" WHERE rowid < {NOT_ENDED}",
    # Whoever appends a row waits for one that does the same, and goes on behind its row.
    audit.END: "CREATE OR REPLACE VIEW audit_end AS SELECT sequence, hash, mac FROM audit_head FOR UPDATE",
    stored_bytes.VIEW: "CREATE OR REPLACE VIEW tenant_bytes AS SELECT tenant, CAST(SUM(bytes) AS BIGINT) AS bytes FROM"
    " (SELECT tenant, bytes FROM stored_bytes UNION ALL SELECT tenant, bytes FROM growth) parts GROUP BY tenant",
}
"""What is written otherwise. ``rowid`` is the number of the transaction that wrote an event."""

RENUMBERED = (
    f"UPDATE events SET rowid = DEFAULT WHERE rowid >= {NOT_BEGUN}",  # noqa: S608  # our own words
    f"DELETE FROM search_progress WHERE event_row >= {NOT_BEGUN}",  # noqa: S608  # as above
)
"""For tables that a dump has brought from another server: its transactions had numbers that are to come here."""

OWN_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS units (
        tenant TEXT NOT NULL, id TEXT NOT NULL, is_barred BOOLEAN NOT NULL DEFAULT FALSE,
        PRIMARY KEY (tenant, id)
    )""",
    "CREATE TABLE IF NOT EXISTS growth (tenant TEXT NOT NULL, bytes BIGINT NOT NULL)",
    *nodes.TABLES,
    *claims.TABLES,
)
"""``units``: a mark of each unit that was committed, or that never may be. ``growth``: by how many bytes tenants grew
since their sums in ``stored_bytes`` were brought up to date, which would else be rows that every unit waits for."""


EVENTS_IN_ORDER = "CREATE INDEX IF NOT EXISTS events_in_order ON events (rowid, id)"
"""SQLite keeps rows in this order; here the search index, and who copies a store, would read and sort all of them."""


def _trigger(name: str, occasion: str, body: str) -> tuple[str, str]:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE OR REPLACE TRIGGER {name} {occasion} EXECUTE FUNCTION {name}()",
    )


def _forgetting(name: str, event: str, when: str, size: str) -> tuple[str, str]:
    count = f"INSERT INTO growth (tenant, bytes) VALUES (old.tenant, -({translated(size)})); RETURN NULL;"  # noqa: S608  # our own names
    condition = f" WHEN ({when})" if when else ""
    return _trigger(f"{name}_forgotten", f"AFTER {event} FOR EACH ROW{condition}", count)


TRIGGERS = (
    *(sql for one in stored_bytes.FORGOTTEN for sql in _forgetting(*one)),
    *_trigger(
        "audit_log_is_kept",
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT",
        "RAISE EXCEPTION 'the audit trail is append-only';",
    ),
    *_trigger(
        "audit_log_grows",
        "BEFORE INSERT ON audit_log FOR EACH ROW",
        """
        UPDATE audit_head SET sequence = new.sequence, hash = new.hash, mac = new.mac
        WHERE sequence = new.sequence - 1;
        IF NOT FOUND THEN RAISE EXCEPTION 'the audit trail is append-only'; END IF;
        IF new.approved_by IS NOT NULL THEN
            UPDATE approvals SET status = 'approved', decided_by = new.approved_by, decided_at = new.at, body = NULL
            WHERE id = new.approval_id AND status = 'open';
            IF NOT FOUND THEN RAISE EXCEPTION 'the approval is not open'; END IF;
        END IF;
        RETURN new;""",
    ),
)


def spelt(sql: str) -> str:
    """A statement of every engine's schema or migrations, as it is here."""
    own = INSTEAD.get(sql, sql)
    return definition(own) if own is not sql or "CREATE" in sql or "ALTER" in sql else translated(sql)


def statements() -> list[str]:
    """What makes everything that is missing, in order."""
    portable = [spelt(sql) for sql in TABLES if "TRIGGER" not in sql]
    return [*FUNCTIONS, *map(definition, OWN_TABLES), *portable, EVENTS_IN_ORDER, *TRIGGERS]
