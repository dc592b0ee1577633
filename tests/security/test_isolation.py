"""Nobody sees or moves what is not theirs: every operation, three tenants, ids of all kinds, and the operators' routes.

"Missing" and "another tenant's" give the same answer to the last byte, so that an id reveals nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.signing import sha256_hex
from gateway.web import admin
from gateway.web.app import make_admin_app, make_app
from tests.security.operation_rows import OPERATORS_ROWS, TENANTS_ROWS, Row, filled, foreign, misfits, nonexistent
from tests.security.three_tenants import (
    OPERATORS_KEY,
    TENANTS,
    ThreeTenants,
    adjacent_id,
    running_three_tenants,
    shown,
    wait_until_idle,
    webhooks_of,
    word_of,
)
from tests.support.stack import Reply, key_of, psp_body

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOR_EVERYBODY = {
    *("/", "/healthz", "/livez", "/readyz", "/metrics"),
    *("/openapi.json", "/docs", "/docs/{asset}", "/problems/{code}"),
}
FOR_PROVIDERS = {"/callbacks/{endpoint_id}", "/callbacks/{endpoint_id}/{suffix}"}
WITH_ID = [(key, row) for key, row in TENANTS_ROWS.items() if row.path_names is not None]
WITH_QUERY = [(key, row) for key, row in TENANTS_ROWS.items() if any(row.query.values())]


def _name(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else ""


each_tenant = pytest.mark.parametrize("tenant", TENANTS)
each_with_id = pytest.mark.parametrize(("key", "row"), WITH_ID, ids=_name)
each_operation = pytest.mark.parametrize(("key", "row"), TENANTS_ROWS.items(), ids=_name)
each_for_operators = pytest.mark.parametrize(("key", "row"), OPERATORS_ROWS.items(), ids=_name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ThreeTenants]:
    """One stack with three tenants for all cells."""
    async with running_three_tenants(tmp_path_factory.mktemp("tenants")) as opened:
        yield opened


# The table is whole


async def test_every_operation_of_the_document_has_a_row(tenants: ThreeTenants) -> None:
    """An operation or query parameter without a row fails here."""
    paths = (await tenants.ask("GET", "/openapi.json")).json["paths"]
    documented = {(method.upper(), path): one for path, methods in paths.items() for method, one in methods.items()}
    assert set(documented) == set(TENANTS_ROWS)
    for key, operation in documented.items():
        assert {one["name"] for one in operation["parameters"] if one["in"] == "query"} == set(TENANTS_ROWS[key].query)
        assert ("requestBody" in operation) == (TENANTS_ROWS[key].body is not None)
        assert (TENANTS_ROWS[key].path_names is not None) == ("{" in key[1])


async def test_every_operators_route_has_a_row() -> None:
    """The same for the operators' routes."""
    assert {(route.method, route.path) for route in admin.ROUTES} == set(OPERATORS_ROWS)


async def test_nothing_else_is_served(tenants: ThreeTenants) -> None:
    """Every route of a listener is in one of the two tables, or is known to be public."""
    gw = tenants.stack.gateway
    for app, rows in ((make_app(gw), TENANTS_ROWS), (make_admin_app(gw), OPERATORS_ROWS)):
        served = {route.resource.canonical for route in app.router.routes() if route.resource is not None}
        assert served - FOR_EVERYBODY - FOR_PROVIDERS == {path for _, path in rows}


# Tenants


@each_with_id
@each_tenant
async def test_what_is_not_ones_own_is_not_there(
    tenants: ThreeTenants, key: tuple[str, str], row: Row, tenant: str
) -> None:
    """Ids of other tenants, of other kinds, adjacent and deleted ones are answered like an id that does not exist."""
    method, path = key
    assert row.path_names is not None
    before, calls = tenants.rows(), await tenants.calls_to_providers()
    missing = shown(await tenants.ask(method, filled(path, nonexistent(row.path_names)), row.body, tenant=tenant))
    assert missing[0] == 404
    others = [
        *foreign(tenants.ids_by_kind, row.path_names, tenant),
        *misfits(tenants.ids_by_kind, row.path_names, tenant),
    ]
    answers = {one: shown(await tenants.ask(method, filled(path, one), row.body, tenant=tenant)) for one in others}
    assert {one: answer for one, answer in answers.items() if answer != missing} == {}
    assert tenants.rows() == before
    assert await tenants.calls_to_providers() == calls


@pytest.mark.parametrize("spelled", ["..", "..%2f..", "%2e%2e/x", "x/../{}", "{}%2f", "{}/", "/{}", "./{}", ""])
@each_with_id
async def test_a_path_that_is_bent_reaches_nothing(
    tenants: ThreeTenants, key: tuple[str, str], row: Row, spelled: str
) -> None:
    """Dots, slashes and their escapes around another tenant's id lead to no resource of anybody."""
    theirs = tenants.ids_by_kind["globex"][row.path_names or ""][0]
    reply = await tenants.ask(key[0], filled(key[1], spelled.format(theirs)), row.body, tenant="acme")
    assert reply.status in (404, 405)


@pytest.mark.parametrize(("key", "row"), WITH_QUERY, ids=_name)
@each_tenant
async def test_a_foreign_name_in_a_query_finds_what_a_missing_one_finds(
    tenants: ThreeTenants, key: tuple[str, str], row: Row, tenant: str
) -> None:
    """A filter or a cursor that names something of another tenant answers as one that names nothing."""
    path = filled(key[1], tenants.ids_by_kind[tenant][row.path_names][0]) if row.path_names else key[1]
    for parameter, kind in row.query.items():
        for other in TENANTS:
            if kind is None or other == tenant:
                continue
            for name in tenants.ids_by_kind[other][kind]:
                answers = []
                for one in (name, adjacent_id(name)):
                    status, *rest = shown(
                        await tenants.ask(key[0], f"{path}?{parameter}={one}", row.body, tenant=tenant)
                    )
                    answers.append((status, str(rest).replace(one, "…")))
                assert answers[0] == answers[1], (parameter, name)
                assert ("map" in kind) <= (answers[0][0] == 422)


@each_tenant
@each_operation
async def test_a_foreign_name_in_a_body_is_a_missing_one(
    tenants: ThreeTenants, key: tuple[str, str], row: Row, tenant: str
) -> None:
    """An account or deposit method of another tenant is unknown, in the words for one that does not exist."""
    path = filled(key[1], word_of(tenant)) if row.path_names else key[1]
    for member, kind in row.names.items():
        for other in TENANTS:
            if other == tenant:
                continue
            name = tenants.ids_by_kind[other][kind][0]
            texts = []
            for one in (name, adjacent_id(name)):
                body = {key: value for key, value in row.body.items() if key != "account"} | {member: one}
                reply = await tenants.ask(key[0], path, body, tenant=tenant)
                assert reply.status == 422
                texts.append(reply.text.replace(one, "…"))
            assert texts[0] == texts[1]


@each_tenant
async def test_one_idempotency_key_is_as_many_keys_as_tenants(tenants: ThreeTenants, tenant: str) -> None:
    """Under a key that the others used before, with the very same body, a tenant gets its own payment."""
    shared, body = f"key-{uuid.uuid4().hex}", psp_body()
    first = {
        one: await tenants.ask("POST", "/v1/payments", body, tenant=one, headers={"Idempotency-Key": shared})
        for one in (*(other for other in TENANTS if other != tenant), tenant)
    }
    assert {reply.status for reply in first.values()} == {201}
    assert len({reply.json["id"] for reply in first.values()}) == len(TENANTS)
    again = await tenants.ask("POST", "/v1/payments", body, tenant=tenant, headers={"Idempotency-Key": shared})
    assert (again.text, again.headers["Idempotency-Replayed"]) == (first[tenant].text, "true")
    theirs = next(reply.json["id"] for one, reply in first.items() if one != tenant)
    for sent in ({"Idempotency-Key": shared}, {}):
        answers = [
            shown(await tenants.ask("POST", f"/v1/payments/{one}/cancel", {}, tenant=tenant, headers=sent))
            for one in (theirs, nonexistent("payment"))
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == (422 if sent else 404)
    await wait_until_idle(tenants.stack)


@each_tenant
async def test_ones_own_is_there(tenants: ThreeTenants, tenant: str) -> None:
    """The cells above mean something: filled with the tenant's own ids each operation finds them and takes its body."""
    for (method, path), row in TENANTS_ROWS.items():
        own = tenants.ids_by_kind[tenant][row.path_names][-1] if row.path_names else ""
        reply = await tenants.ask(method, filled(path, own) if own else path, row.body, tenant=tenant)
        assert reply.status not in (401, 404, 405, 429, 500), (method, path, reply.text)
        assert reply.status < 400 or reply.json["code"] != "validation_failed", (method, path, reply.text)
    await wait_until_idle(tenants.stack)


@each_tenant
async def test_no_list_holds_anything_of_others(tenants: ThreeTenants, tenant: str) -> None:
    """Every list in every page size shows a tenant its own, and all of it."""
    payments = await _whole(tenants, "/v1/payments?limit=1", tenant)
    assert {one["tenant"] for one in payments} == {tenant}
    assert set(tenants.ids_by_kind[tenant]["payment"]) <= {one["id"] for one in payments}
    deliveries = await _whole(tenants, "/v1/webhooks/deliveries?limit=3", tenant)
    assert {one["payment_id"] for one in deliveries} - {None} <= {one["id"] for one in payments}


# Operators


@each_for_operators
async def test_only_the_operators_key_opens_an_operators_route(
    tenants: ThreeTenants, key: tuple[str, str], row: Row
) -> None:
    """Tenants' keys and near misses of the right one read the same 401, whether what they name exists or not.

    What is not one bearer key at all is answered in one way too.
    """
    path = key[1]
    paths = [path]
    if row.path_names is not None:
        paths = [
            filled(path, tenants.ids_by_kind["acme"][row.path_names][0]),
            filled(path, nonexistent(row.path_names)),
        ]
    before = tenants.rows()
    for credentials in (_near_misses(), _no_bearer_keys()):
        answers = [
            shown(await tenants.ask(key[0], one, row.body, admin=True, headers=headers))
            for one in paths
            for headers in credentials
        ]
        assert answers[0][0] == 401
        assert [answer for answer in answers if answer != answers[0]] == []
    assert tenants.rows() == before


@each_for_operators
async def test_an_operators_route_is_not_on_the_public_side(
    tenants: ThreeTenants, key: tuple[str, str], row: Row
) -> None:
    """On the tenants' listener it is an unknown path, whatever key is sent."""
    path = filled(key[1], tenants.ids_by_kind["acme"][row.path_names][0]) if row.path_names else key[1]
    nowhere = but_the_path(await tenants.ask(key[0], "/admin/v1/nowhere", row.body))
    for bearer in (OPERATORS_KEY, key_of("acme")):
        reply = await tenants.ask(key[0], path, row.body, headers={"Authorization": f"Bearer {bearer}"})
        assert but_the_path(reply) == nowhere


def but_the_path(reply: Reply) -> tuple[int, list[tuple[str, str]], str]:
    """An answer in comparable form, without the path that was asked for, which it quotes."""
    status, headers, text = shown(reply)
    quoted = re.compile(r"there is no route [A-Z]+ [^;]*;")
    assert quoted.search(text)
    return status, [one for one in headers if one[0] != "content-length"], quoted.sub("", text)


@each_for_operators
async def test_operators_find_what_exists_and_nothing_by_another_kind(
    tenants: ThreeTenants, key: tuple[str, str], row: Row
) -> None:
    """With the right key an id of another kind, or an unknown one, is the same 404, and an existing one is found."""
    if row.path_names is None:
        assert (await _operate(tenants, key, key[1], row))[0] == 200
        return
    missing = await _operate(tenants, key, filled(key[1], nonexistent(row.path_names)), row)
    assert missing[0] == 404
    for one in misfits(tenants.ids_by_kind, row.path_names, "acme"):
        assert await _operate(tenants, key, filled(key[1], one), row) == missing, one
    for tenant in TENANTS:
        assert (await _operate(tenants, key, filled(key[1], tenants.ids_by_kind[tenant][row.path_names][0]), row))[
            0
        ] != 404
    await wait_until_idle(tenants.stack)


@each_operation
async def test_the_operators_key_opens_nothing_for_tenants(
    tenants: ThreeTenants, key: tuple[str, str], row: Row
) -> None:
    """It is not a tenant's key; and the tenants' routes are not on the operators' listener."""
    path = filled(key[1], tenants.ids_by_kind["acme"][row.path_names][0]) if row.path_names else key[1]
    headers = {"Authorization": f"Bearer {OPERATORS_KEY}"}
    assert (await tenants.ask(key[0], path, row.body, headers=headers)).status == 401
    assert (await tenants.ask(key[0], path, row.body, headers=headers, admin=True)).status == 404


# Afterwards


@each_tenant
async def test_no_answer_and_no_webhook_holds_a_word_of_others(tenants: ThreeTenants, tenant: str) -> None:
    """Of all that a tenant is answered and sent, nothing names another tenant, its texts or its ids."""
    for (method, path), row in TENANTS_ROWS.items():
        named = tenants.ids_by_kind[tenant][row.path_names] if row.path_names else [""]
        for one in (*named, *(foreign(tenants.ids_by_kind, row.path_names, tenant) if row.path_names else ())):
            await tenants.ask(method, filled(path, one) if one else path, row.body, tenant=tenant)
    await wait_until_idle(tenants.stack)
    words = tenants.words_of_others(tenant)
    answers = [(asked, text) for to, asked, text in tenants.answers if to == tenant]
    assert len(answers) > 100
    assert [(asked, word) for asked, text in answers for word in words if word in text and word not in asked] == []
    webhooks = webhooks_of(tenants.stack, tenant)
    assert word_of(tenant) in webhooks
    assert [word for word in words if word in webhooks] == []


def _near_misses() -> list[dict[str, str]]:
    """Bearer keys that are not the operators'."""
    key = OPERATORS_KEY
    bearers = [*map(key_of, TENANTS), key[:-1], key + "0", key.upper(), key.swapcase(), sha256_hex(key), f'"{key}"']
    bearers += [f"{key},", key.replace("gw_", ""), "null", "*"]
    return [{"Authorization": f"Bearer {bearer}"} for bearer in bearers]


def _no_bearer_keys() -> list[dict[str, str]]:
    """Headers that hold the operators' key, but not as one bearer key."""
    key = OPERATORS_KEY
    forms = [f"Bearer {key} {key}", "Bearer ", key, f"Basic {key}", f"Token {key}", f"Bearer{key}", f"Bearer:{key}"]
    return [{}, *({"Authorization": form} for form in forms), {"X-Api-Key": key}, {"Cookie": f"key={key}"}]


async def _operate(tenants: ThreeTenants, key: tuple[str, str], path: str, row: Row) -> Any:
    headers = {"Authorization": f"Bearer {OPERATORS_KEY}"}
    return shown(await tenants.ask(key[0], path, row.body, admin=True, headers=headers))


async def _whole(tenants: ThreeTenants, path: str, tenant: str) -> list[Any]:
    """A list to its end, page by page."""
    found, cursor = [], ""
    while True:
        page = (await tenants.ask("GET", path + cursor, tenant=tenant)).json
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
