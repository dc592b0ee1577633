-- A store of version 4, as the gateway before version 5 left it (python: sqlite3.Connection.iterdump).
BEGIN TRANSACTION;
CREATE TABLE approvals (
        id TEXT PRIMARY KEY, status TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, target TEXT, body TEXT,
        key_id TEXT NOT NULL, key_name TEXT, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
        decided_by TEXT, decided_at BIGINT, code TEXT
    );
INSERT INTO "approvals" VALUES('apv_001','approved','POST','/admin/x','acme pay_001',NULL,'opr_1','ana',1767323045000,1767409445000,'opr_2',2,NULL);
INSERT INTO "approvals" VALUES('apv_002','open','POST','/admin/x','acme pay_001','{}','opr_1','ana',1767323045000,1767409445000,NULL,NULL,NULL);
CREATE TABLE audit_head (
        id INTEGER PRIMARY KEY CHECK (id = 1), sequence BIGINT NOT NULL, hash TEXT NOT NULL, mac TEXT NOT NULL
    );
INSERT INTO "audit_head" VALUES(1,3,'92247fcabfc0f739d6c985d68b40b6e2f20b9eb58de17328aa2aaf03582cb493','dcd8140ec3030289f60a062d4bfe676b99c7bfb4919970c5c7055a3f5aa384ea');
CREATE TABLE audit_log (
        sequence INTEGER PRIMARY KEY, at BIGINT NOT NULL, key_id TEXT NOT NULL, key_name TEXT, approved_by TEXT,
        approval_id TEXT, act TEXT NOT NULL, tenant TEXT, payment_id TEXT, subject TEXT, reason TEXT,
        details TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL, secret_id TEXT NOT NULL,
        mac TEXT NOT NULL
    );
INSERT INTO "audit_log" VALUES(1,1,'k1','Dana',NULL,NULL,'reviews.resolve','acme','pay_1',NULL,'it''s "fine" —   ä','{"n":1}','','45d60b2964c7d670f3ee10b6ee4b26be78c2c3876e6d256312f579db602691a3','-cefejfF25ZI','7b371fdef4c6c18a41d26c2d9af39914c21be14c76c6975b46eb0923c26afb40');
INSERT INTO "audit_log" VALUES(2,2,'k1','Dana','opr_2','apv_001','reviews.resolve','acme','pay_2',NULL,'it''s "fine" —   ä','{"n":1}','45d60b2964c7d670f3ee10b6ee4b26be78c2c3876e6d256312f579db602691a3','e071bec53ff9507a891d52c7555ba11196a2198985b34e43c488bee02c256604','-cefejfF25ZI','166b988ac05bc4fa30709657903e095c85598f4cb0dd5092890513887062a692');
INSERT INTO "audit_log" VALUES(3,3,'k1','Dana',NULL,NULL,'reviews.resolve','acme','pay_3',NULL,'ä "quoted"','{"n":1}','e071bec53ff9507a891d52c7555ba11196a2198985b34e43c488bee02c256604','92247fcabfc0f739d6c985d68b40b6e2f20b9eb58de17328aa2aaf03582cb493','-cefejfF25ZI','dcd8140ec3030289f60a062d4bfe676b99c7bfb4919970c5c7055a3f5aa384ea');
CREATE TABLE events (
        tenant TEXT NOT NULL, id TEXT NOT NULL, payment_id TEXT, type TEXT NOT NULL, version INTEGER NOT NULL, doc TEXT,
        delivery_id TEXT, status TEXT, died_of TEXT, next_attempt_at BIGINT, tries INTEGER, attempts TEXT,
        created_at BIGINT, body TEXT
    );
INSERT INTO "events" VALUES('acme','evt_pay_001','pay_001','payment.created',1,'{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}','dlv_pay_001','delivered',NULL,NULL,1,'[{"at":"2026-01-02T03:04:07.000Z","status_code":204,"error":null}]',1767323045000,'{}');
INSERT INTO "events" VALUES('acme','evt_pay_001_2','pay_001','payment.awaiting_customer',2,'{"type":"payment.awaiting_customer","version":2,"cause":"reply","state_before":"created","state_after":"awaiting_customer","at":"2026-01-02T03:04:06Z","details":{"note":"ä"}}','dlv_9pay_001_2','dead','exhausted',NULL,1,'[{"at":"2026-01-02T03:04:07.000Z","status_code":500,"error":null}]',1767323046000,'{"type":"payment.awaiting_customer","timestamp":"2026-01-02T03:04:06.000Z","data":{"payment":{"id":"pay_001","merchant_reference":"ä"}}}');
INSERT INTO "events" VALUES('globex','evt_pay_002','pay_002','payment.created',1,'{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}','dlv_pay_002','pending',NULL,1767323045000,0,'[]',1767323045000,'{}');
INSERT INTO "events" VALUES('acme','evt_pay_003','pay_003','payment.created',1,'{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES('acme','evt_pay_004','pay_004','payment.created',1,'{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES('acme','evt_pay_005','pay_005','payment.created',1,'{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES('acme','evt_test',NULL,'webhook.test',0,NULL,'dlv_9test','pending',NULL,1767323046000,0,'[]',1767323046000,'{"type":"webhook.test","timestamp":"2026-01-02T03:04:06.000Z","data":{}}');
CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, at BIGINT NOT NULL);
CREATE TABLE hints (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, provider_reference TEXT NOT NULL,
        received_at BIGINT NOT NULL, due INTEGER NOT NULL,
        PRIMARY KEY (tenant, payment_id, provider_reference)
    );
CREATE TABLE idempotency_keys (
        tenant TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL, operation_id TEXT NOT NULL,
        payment_id TEXT NOT NULL, created_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, idempotency_key)
    );
INSERT INTO "idempotency_keys" VALUES('acme','key-00000001','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_001','pay_001',1767323045000);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000003','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_003','pay_003',1767323045000);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000004','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_104','pay_004',1767323045000);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000005','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_005','pay_005',1767323045000);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000103','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','op_103','pay_003',1767323045000);
INSERT INTO "idempotency_keys" VALUES('globex','key-00000002','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_002','pay_002',1767323045000);
CREATE TABLE inbox (
        tenant TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, received_at BIGINT NOT NULL,
        method TEXT NOT NULL, suffix TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
        size INTEGER NOT NULL, remote TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT, detail TEXT, event_id TEXT,
        event TEXT, payment_id TEXT, tries INTEGER NOT NULL, next_attempt_at BIGINT, history TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    );
INSERT INTO "inbox" VALUES('acme','cb_001','main',1767323045000,'POST','pay/callback','a=%20','[["X-A","ä"],["X-A","2"]]',X'00FF7B7D',4,'127.0.0.1','refused',NULL,NULL,NULL,NULL,NULL,0,NULL,'[]');
CREATE TABLE moments (name TEXT PRIMARY KEY, at BIGINT NOT NULL);
CREATE TABLE operations (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
        doc TEXT NOT NULL, answer_status INTEGER, answer TEXT,
        PRIMARY KEY (tenant, payment_id, id)
    );
INSERT INTO "operations" VALUES('acme','pay_001','op_001','create','succeeded','{"id":"op_001","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_001","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000001","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}',201,'{"id": "pay_001", "name": "Jäck"}');
INSERT INTO "operations" VALUES('acme','pay_003','op_003','create','succeeded','{"id":"op_003","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_003","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000003","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}',201,'{"id": "pay_003"}');
INSERT INTO "operations" VALUES('acme','pay_004','op_004','create','not_sent','{"id":"op_004","kind":"create","status":"not_sent","note":null,"tenant":"acme","payment_id":"pay_004","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000004","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}',NULL,NULL);
INSERT INTO "operations" VALUES('acme','pay_005','op_005','create','succeeded','{"id":"op_005","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_005","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000005","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}',NULL,NULL);
INSERT INTO "operations" VALUES('acme','pay_005','op_105','complete','succeeded','{"id":"op_105","kind":"complete","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_005","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":null,"answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}',NULL,NULL);
CREATE TABLE payments (
        tenant TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, provider TEXT NOT NULL,
        deposit_method TEXT, merchant_reference TEXT NOT NULL, provider_reference TEXT, state TEXT NOT NULL,
        version INTEGER NOT NULL, revision INTEGER NOT NULL, open_operation TEXT, replaced_by TEXT, review TEXT,
        created_at BIGINT NOT NULL, expired_at BIGINT, doc TEXT NOT NULL, purchase TEXT NOT NULL, due_at BIGINT, tries INTEGER NOT NULL DEFAULT 0, open_status TEXT, open_doc TEXT,
        PRIMARY KEY (tenant, id)
    );
INSERT INTO "payments" VALUES('acme','pay_001','main','sandbox',NULL,'SO-1','T-1','awaiting_customer',2,1,NULL,NULL,NULL,1767323045000,NULL,'{"id":"pay_001","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-1","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"awaiting_customer","provider_reference":"T-1","captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":1,"deposit_method":null,"metadata":{"warehouse":"7"}}','{"customer":{},"order":{"items":[{"merchant_id":"m","name":"Jäck \"4×\"","price":"410.10","quantity":1}]},"checkout":{},"fields":{},"return_url":"https://shop.example/paid","cancel_url":null}',1767323345000,2,NULL,NULL);
INSERT INTO "payments" VALUES('globex','pay_002','main','sandbox',NULL,'SO-2',NULL,'created',1,0,'op_002',NULL,NULL,1767323045000,NULL,'{"id":"pay_002","tenant":"globex","account":"main","provider":"sandbox","merchant_reference":"SO-2","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"created","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":1,"revision":0,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}',1767323085000,0,'sending','{"id":"op_002","kind":"create","status":"sending","note":null,"tenant":"globex","payment_id":"pay_002","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000002","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "payments" VALUES('acme','pay_003','main','sandbox',NULL,'SO-3',NULL,'captured',2,2,'op_103',NULL,NULL,1767323045000,NULL,'{"id":"pay_003","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-3","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"captured","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":2,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}',NULL,0,'unknown','{"id":"op_103","kind":"refund","status":"unknown","note":"silence","tenant":"acme","payment_id":"pay_003","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000103","answers_with":null,"not_sent_before":[],"order":null,"reason":"returned","failure":null,"contrary_since":null}');
INSERT INTO "payments" VALUES('acme','pay_004','main','sandbox',NULL,'SO-4',NULL,'created',1,1,'op_104',NULL,NULL,1767323045000,NULL,'{"id":"pay_004","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-4","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"created","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":1,"revision":1,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}',NULL,0,'sending','{"id":"op_104","kind":"create","status":"sending","note":null,"tenant":"acme","payment_id":"pay_004","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000004","answers_with":null,"not_sent_before":["main op_004"],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "payments" VALUES('acme','pay_005','main','sandbox',NULL,'SO-5',NULL,'captured',2,2,NULL,NULL,NULL,1767323045000,NULL,'{"id":"pay_005","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-5","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"captured","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":2,"deposit_method":"bank","metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}',NULL,0,NULL,NULL);
CREATE TABLE pending_erasures (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, asked_at BIGINT,
        PRIMARY KEY (tenant, payment_id)
    ) WITHOUT ROWID;
CREATE TABLE reference_holders (
        tenant TEXT NOT NULL, account TEXT NOT NULL, merchant_reference TEXT NOT NULL, payment_id TEXT NOT NULL,
        PRIMARY KEY (tenant, account, merchant_reference)
    ) WITHOUT ROWID;
INSERT INTO "reference_holders" VALUES('acme','main','SO-1','pay_001');
INSERT INTO "reference_holders" VALUES('acme','main','SO-3','pay_003');
INSERT INTO "reference_holders" VALUES('acme','main','SO-4','pay_004');
INSERT INTO "reference_holders" VALUES('acme','main','SO-5','pay_005');
INSERT INTO "reference_holders" VALUES('globex','main','SO-2','pay_002');
CREATE TABLE refused_requests (
        number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, request_id TEXT NOT NULL, at BIGINT NOT NULL,
        route TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL, fields TEXT NOT NULL
    );
INSERT INTO "refused_requests" VALUES(1,'acme','req_1',1767323045000,'POST /v1/payments',422,'validation_failed','$.amount');
INSERT INTO "refused_requests" VALUES(2,'globex','req_1',1767323045001,'POST /v1/payments',422,'validation_failed','$.amount');
INSERT INTO "refused_requests" VALUES(3,'acme','req_2',1767323045002,'POST /v1/payments',422,'validation_failed','$.amount');
CREATE TABLE search_payments (
        place INTEGER PRIMARY KEY, segment INTEGER NOT NULL, tenant TEXT NOT NULL, payment_id TEXT NOT NULL,
        state TEXT NOT NULL, amount BIGINT NOT NULL
    );
INSERT INTO "search_payments" VALUES(7,0,'acme','pay_001','awaiting_customer',12300);
CREATE TABLE search_progress (
        id INTEGER PRIMARY KEY, made_with TEXT NOT NULL, event_row BIGINT NOT NULL, event_id TEXT NOT NULL
    );
INSERT INTO "search_progress" VALUES(1,'of another secret',1,'evt_pay_001');
CREATE TABLE search_segments (
        segment INTEGER PRIMARY KEY, payments INTEGER NOT NULL, first_place BIGINT NOT NULL, last_place BIGINT NOT NULL
    );
INSERT INTO "search_segments" VALUES(0,1,7,7);
CREATE TABLE search_terms (
        segment INTEGER NOT NULL, term BIGINT NOT NULL, place BIGINT NOT NULL,
        PRIMARY KEY (segment, term, place)
    ) WITHOUT ROWID;
INSERT INTO "search_terms" VALUES(0,99,7);
CREATE TABLE stored_bytes (tenant TEXT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (tenant));
INSERT INTO "stored_bytes" VALUES('acme',26318);
INSERT INTO "stored_bytes" VALUES('globex',5057);
CREATE TABLE webhook_endpoints (
        tenant TEXT NOT NULL, url_sha256 TEXT NOT NULL, failing_since BIGINT, disabled_at BIGINT, reason TEXT,
        PRIMARY KEY (tenant)
    );
INSERT INTO "webhook_endpoints" VALUES('acme','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1767323045000,NULL,NULL);
CREATE INDEX payments_by_reference ON payments (tenant, merchant_reference);
CREATE INDEX payments_in_review ON payments (tenant, id) WHERE review IS NOT NULL;
CREATE UNIQUE INDEX applied_once ON inbox (tenant, account, event_id)
    WHERE verdict = 'recorded' AND event_id IS NOT NULL;
CREATE INDEX inbox_unproved ON inbox (tenant, account, payment_id, id)
    WHERE verdict = 'recorded' AND event_id IS NULL;
CREATE INDEX inbox_by_payment ON inbox (tenant, payment_id, id);
CREATE INDEX inbox_refused ON inbox (tenant, account, id) WHERE verdict = 'refused';
CREATE INDEX inbox_refused_since ON inbox (received_at) WHERE verdict = 'refused';
CREATE INDEX inbox_unproved_since ON inbox (received_at)
    WHERE verdict = 'recorded' AND event_id IS NULL;
CREATE INDEX inbox_pending ON inbox (next_attempt_at) WHERE verdict = 'pending';
CREATE INDEX followed_hints ON hints (received_at) WHERE due = 0;
CREATE TRIGGER inbox_forgotten AFTER DELETE ON inbox BEGIN UPDATE stored_bytes SET bytes = bytes - (700 + LENGTH(CAST(COALESCE(old.query, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.headers, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.body, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.detail, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.event, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.history, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE INDEX payments_by_key ON payments (tenant, account, provider_reference)
    WHERE provider_reference IS NOT NULL;
CREATE INDEX open_operations ON payments (open_status, open_operation)
    WHERE open_status IS NOT NULL;
CREATE INDEX payments_due ON payments (due_at, tenant, id, tries)
    WHERE due_at IS NOT NULL;
CREATE VIEW all_operations AS
    SELECT tenant, payment_id, id, kind, status, doc FROM operations UNION ALL
    SELECT tenant, id, open_operation, json_extract(open_doc, '$.kind'), open_status, open_doc FROM payments
    WHERE open_status IS NOT NULL;
CREATE UNIQUE INDEX events_by_version ON events (tenant, payment_id, version);
CREATE UNIQUE INDEX events_by_delivery ON events (tenant, delivery_id)
    WHERE delivery_id IS NOT NULL;
CREATE INDEX deliveries_due ON events (tenant, next_attempt_at) WHERE status = 'pending';
CREATE INDEX dead_deliveries ON events (tenant, delivery_id) WHERE status = 'dead';
CREATE TRIGGER events_forgotten AFTER DELETE ON events BEGIN UPDATE stored_bytes SET bytes = bytes - (700 + LENGTH(CAST(COALESCE(old.doc, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.body, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.attempts, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE TRIGGER webhooks_forgotten AFTER UPDATE OF delivery_id ON events WHEN new.delivery_id IS NULL BEGIN UPDATE stored_bytes SET bytes = bytes - (LENGTH(CAST(COALESCE(old.body, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.attempts, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE TRIGGER answers_forgotten AFTER UPDATE OF answer ON operations BEGIN UPDATE stored_bytes SET bytes = bytes - (LENGTH(CAST(COALESCE(old.answer, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE INDEX payments_expired ON payments (id, tenant, provider)
    WHERE expired_at IS NOT NULL;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (tenant, created_at);
CREATE INDEX asked_erasures ON pending_erasures (asked_at) WHERE asked_at IS NOT NULL;
CREATE TRIGGER idempotency_keys_forgotten AFTER DELETE ON idempotency_keys BEGIN UPDATE stored_bytes SET bytes = bytes - (500) WHERE tenant = old.tenant; END;
CREATE INDEX audit_by_payment ON audit_log (payment_id, sequence) WHERE payment_id IS NOT NULL;
CREATE INDEX audit_by_approval ON audit_log (approval_id, sequence) WHERE approval_id IS NOT NULL;
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_log_is_not_shortened BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_log_only_grows BEFORE INSERT ON audit_log
    WHEN new.sequence IS NOT (SELECT sequence + 1 FROM audit_head)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_head_follows AFTER INSERT ON audit_log
    BEGIN UPDATE audit_head SET sequence = new.sequence, hash = new.hash, mac = new.mac; END;
CREATE INDEX open_approvals ON approvals (expires_at) WHERE status = 'open';
CREATE TRIGGER approval_is_used_once AFTER INSERT ON audit_log WHEN new.approved_by IS NOT NULL
    BEGIN
        SELECT RAISE(ABORT, 'the approval is not open') WHERE NOT EXISTS
        (SELECT 1 FROM approvals WHERE id = new.approval_id AND status = 'open');
        UPDATE approvals SET status = 'approved', decided_by = new.approved_by, decided_at = new.at, body = NULL
        WHERE id = new.approval_id AND status = 'open';
    END;
CREATE INDEX refused_requests_by_tenant ON refused_requests (tenant, number);
CREATE INDEX refused_requests_by_id ON refused_requests (request_id);
CREATE INDEX search_by_state ON search_payments (state, place, tenant);
CREATE INDEX search_by_amount ON search_payments (segment, amount);
PRAGMA user_version = 4;
COMMIT;
