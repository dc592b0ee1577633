-- A store of version 2 with operations and webhooks at every stage, as the gateway before version 3 left it (python: sqlite3.Connection.iterdump).
BEGIN TRANSACTION;
CREATE TABLE agenda (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, due_at BIGINT NOT NULL, tries INTEGER NOT NULL,
        PRIMARY KEY (tenant, payment_id)
    );
INSERT INTO "agenda" VALUES('acme','pay_001',1767323345000,2);
INSERT INTO "agenda" VALUES('globex','pay_002',1767323085000,0);
CREATE TABLE deliveries (
        tenant TEXT NOT NULL, id TEXT NOT NULL, event_id TEXT NOT NULL, payment_id TEXT,
        type TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL, died_of TEXT, next_attempt_at BIGINT,
        tries INTEGER NOT NULL, attempts TEXT NOT NULL, created_at BIGINT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    );
INSERT INTO "deliveries" VALUES('acme','dlv_pay_001','evt_pay_001','pay_001','payment.created',1,'delivered',NULL,NULL,1,'[{"at":"2026-01-02T03:04:07.000Z","status_code":204,"error":null}]',1767323045000,'{}');
INSERT INTO "deliveries" VALUES('acme','dlv_9pay_001_2','evt_pay_001_2','pay_001','payment.awaiting_customer',2,'dead','exhausted',NULL,1,'[{"at":"2026-01-02T03:04:07.000Z","status_code":500,"error":null}]',1767323046000,'{"type":"payment.awaiting_customer","timestamp":"2026-01-02T03:04:06.000Z","data":{"payment":{"id":"pay_001","merchant_reference":"ä"}}}');
INSERT INTO "deliveries" VALUES('globex','dlv_pay_002','evt_pay_002','pay_002','payment.created',1,'pending',NULL,1767323045000,0,'[]',1767323045000,'{}');
INSERT INTO "deliveries" VALUES('acme','dlv_9test','evt_test',NULL,'webhook.test',0,'pending',NULL,1767323046000,0,'[]',1767323046000,'{"type":"webhook.test","timestamp":"2026-01-02T03:04:06.000Z","data":{}}');
CREATE TABLE events (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, version INTEGER NOT NULL, id TEXT NOT NULL, doc TEXT NOT NULL,
        PRIMARY KEY (tenant, payment_id, version)
    );
INSERT INTO "events" VALUES('acme','pay_001',1,'evt_pay_001','{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}');
INSERT INTO "events" VALUES('acme','pay_001',2,'evt_pay_001_2','{"type":"payment.awaiting_customer","version":2,"cause":"reply","state_before":"created","state_after":"awaiting_customer","at":"2026-01-02T03:04:06Z","details":{"note":"ä"}}');
INSERT INTO "events" VALUES('globex','pay_002',1,'evt_pay_002','{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}');
INSERT INTO "events" VALUES('acme','pay_003',1,'evt_pay_003','{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}');
INSERT INTO "events" VALUES('acme','pay_004',1,'evt_pay_004','{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}');
INSERT INTO "events" VALUES('acme','pay_005',1,'evt_pay_005','{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created","at":"2026-01-02T03:04:05Z","details":{}}');
CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, at BIGINT NOT NULL);
CREATE TABLE hints (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, provider_reference TEXT NOT NULL,
        received_at BIGINT NOT NULL, due INTEGER NOT NULL,
        PRIMARY KEY (tenant, payment_id, provider_reference)
    );
CREATE TABLE idempotency_keys (
        tenant TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL, operation_id TEXT NOT NULL,
        payment_id TEXT NOT NULL, created_at BIGINT NOT NULL, answer_status INTEGER, answer TEXT,
        PRIMARY KEY (tenant, idempotency_key)
    );
INSERT INTO "idempotency_keys" VALUES('acme','key-00000001','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_001','pay_001',1767323045000,201,'{"id": "pay_001", "name": "Jäck"}');
INSERT INTO "idempotency_keys" VALUES('globex','key-00000002','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_002','pay_002',1767323045000,NULL,NULL);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000003','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_003','pay_003',1767323045000,201,'{"id": "pay_003"}');
INSERT INTO "idempotency_keys" VALUES('acme','key-00000103','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','op_103','pay_003',1767323045000,NULL,NULL);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000004','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_104','pay_004',1767323045000,NULL,NULL);
INSERT INTO "idempotency_keys" VALUES('acme','key-00000005','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','op_005','pay_005',1767323045000,NULL,NULL);
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
        tenant TEXT NOT NULL, id TEXT NOT NULL, payment_id TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, doc TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    );
INSERT INTO "operations" VALUES('acme','op_001','pay_001','create','succeeded',1767323045000,1767323045000,'{"id":"op_001","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_001","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000001","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('globex','op_002','pay_002','create','sending',1767323045000,1767323045000,'{"id":"op_002","kind":"create","status":"sending","note":null,"tenant":"globex","payment_id":"pay_002","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000002","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_003','pay_003','create','succeeded',1767323045000,1767323045000,'{"id":"op_003","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_003","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000003","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_103','pay_003','refund','unknown',1767323045000,1767323045000,'{"id":"op_103","kind":"refund","status":"unknown","note":"silence","tenant":"acme","payment_id":"pay_003","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000103","answers_with":null,"not_sent_before":[],"order":null,"reason":"returned","failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_004','pay_004','create','not_sent',1767323045000,1767323045000,'{"id":"op_004","kind":"create","status":"not_sent","note":null,"tenant":"acme","payment_id":"pay_004","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000004","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_104','pay_004','create','sending',1767323045000,1767323045000,'{"id":"op_104","kind":"create","status":"sending","note":null,"tenant":"acme","payment_id":"pay_004","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000004","answers_with":null,"not_sent_before":["main op_004"],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_005','pay_005','create','succeeded',1767323045000,1767323045000,'{"id":"op_005","kind":"create","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_005","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":"key-00000005","answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
INSERT INTO "operations" VALUES('acme','op_105','pay_005','complete','succeeded',1767323045000,1767323045000,'{"id":"op_105","kind":"complete","status":"succeeded","note":null,"tenant":"acme","payment_id":"pay_005","account":"main","amount":"100.00","before":{"amount":"100.00","captured":"0","refunded":"0","stage":null},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":null,"answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}');
CREATE TABLE payments (
        tenant TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, provider TEXT NOT NULL,
        deposit_method TEXT, merchant_reference TEXT NOT NULL, provider_reference TEXT, state TEXT NOT NULL,
        version INTEGER NOT NULL, revision INTEGER NOT NULL, open_operation TEXT, replaced_by TEXT, review TEXT,
        created_at BIGINT NOT NULL, expired_at BIGINT, doc TEXT NOT NULL, purchase TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    );
INSERT INTO "payments" VALUES('acme','pay_001','main','sandbox',NULL,'SO-1','T-1','awaiting_customer',2,1,NULL,NULL,NULL,1767323045000,NULL,'{"id":"pay_001","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-1","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"awaiting_customer","provider_reference":"T-1","captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":1,"deposit_method":null,"metadata":{"warehouse":"7"}}','{"customer":{},"order":{"items":[{"merchant_id":"m","name":"Jäck \"4×\"","price":"410.10","quantity":1}]},"checkout":{},"fields":{},"return_url":"https://shop.example/paid","cancel_url":null}');
INSERT INTO "payments" VALUES('globex','pay_002','main','sandbox',NULL,'SO-2',NULL,'created',1,0,'op_002',NULL,NULL,1767323045000,NULL,'{"id":"pay_002","tenant":"globex","account":"main","provider":"sandbox","merchant_reference":"SO-2","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"created","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":1,"revision":0,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}');
INSERT INTO "payments" VALUES('acme','pay_003','main','sandbox',NULL,'SO-3',NULL,'captured',2,2,'op_103',NULL,NULL,1767323045000,NULL,'{"id":"pay_003","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-3","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"captured","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":2,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}');
INSERT INTO "payments" VALUES('acme','pay_004','main','sandbox',NULL,'SO-4',NULL,'created',1,1,'op_104',NULL,NULL,1767323045000,NULL,'{"id":"pay_004","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-4","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"created","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":1,"revision":1,"deposit_method":null,"metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}');
INSERT INTO "payments" VALUES('acme','pay_005','main','sandbox',NULL,'SO-5',NULL,'captured',2,2,NULL,NULL,NULL,1767323045000,NULL,'{"id":"pay_005","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"SO-5","money":{"amount":"100.00","currency":"USD","digits":2},"accepted_amount":"100.00","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","state":"captured","provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":2,"revision":2,"deposit_method":"bank","metadata":{}}','{"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}');
CREATE TABLE reference_holders (
        tenant TEXT NOT NULL, account TEXT NOT NULL, merchant_reference TEXT NOT NULL, payment_id TEXT NOT NULL,
        PRIMARY KEY (tenant, account, merchant_reference)
    );
INSERT INTO "reference_holders" VALUES('acme','main','SO-1','pay_001');
INSERT INTO "reference_holders" VALUES('globex','main','SO-2','pay_002');
INSERT INTO "reference_holders" VALUES('acme','main','SO-3','pay_003');
INSERT INTO "reference_holders" VALUES('acme','main','SO-4','pay_004');
INSERT INTO "reference_holders" VALUES('acme','main','SO-5','pay_005');
CREATE TABLE stored_bytes (tenant TEXT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (tenant));
INSERT INTO "stored_bytes" VALUES('acme',24725);
INSERT INTO "stored_bytes" VALUES('globex',5157);
CREATE TABLE webhook_endpoints (
        tenant TEXT NOT NULL, url_sha256 TEXT NOT NULL, failing_since BIGINT, disabled_at BIGINT, reason TEXT,
        PRIMARY KEY (tenant)
    );
INSERT INTO "webhook_endpoints" VALUES('acme','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1767323045000,NULL,NULL);
CREATE INDEX payments_by_reference ON payments (tenant, merchant_reference);
CREATE INDEX payments_by_key ON payments (tenant, account, provider_reference);
CREATE INDEX payments_in_review ON payments (tenant, id) WHERE review IS NOT NULL;
CREATE UNIQUE INDEX one_open_operation ON operations (tenant, payment_id)
    WHERE status IN ('sending', 'unknown');
CREATE INDEX operations_by_payment ON operations (tenant, payment_id, id);
CREATE INDEX answered_keys ON idempotency_keys (tenant, created_at)
    WHERE answer_status IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (tenant, next_attempt_at, id)
    WHERE status = 'pending';
CREATE INDEX deliveries_by_payment ON deliveries (tenant, payment_id, version);
CREATE INDEX dead_deliveries ON deliveries (tenant, id) WHERE status = 'dead';
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
CREATE INDEX agenda_due ON agenda (due_at);
CREATE TRIGGER idempotency_keys_forgotten AFTER DELETE ON idempotency_keys BEGIN UPDATE stored_bytes SET bytes = bytes - (500 + LENGTH(CAST(COALESCE(old.answer, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE TRIGGER deliveries_forgotten AFTER DELETE ON deliveries BEGIN UPDATE stored_bytes SET bytes = bytes - (500 + LENGTH(CAST(COALESCE(old.body, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.attempts, '') AS BLOB))) WHERE tenant = old.tenant; END;
CREATE TRIGGER inbox_forgotten AFTER DELETE ON inbox BEGIN UPDATE stored_bytes SET bytes = bytes - (700 + LENGTH(CAST(COALESCE(old.query, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.headers, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.body, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.detail, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.event, '') AS BLOB)) + LENGTH(CAST(COALESCE(old.history, '') AS BLOB))) WHERE tenant = old.tenant; END;
PRAGMA user_version = 2;
COMMIT;
