"""The story: providers quote, callers misplace, strangers write secrets and card numbers wherever a text can stand."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tests.house import creditkey_body, psp_body
from tests.promises.canaries import CARDS, SESSIONS, SETTINGS, STRANGERS, in_groups, quotations, spellings
from tests.promises.canary_world import World
from tests.promises.hostile import (
    canary_names,
    canary_texts,
    creditkey_names,
    creditkey_texts,
    in_a_header,
    psp_names,
    psp_texts,
    saying,
)
from tests.web.psp_sender import sign

AT_ONCE = 8
"""Requests under way at a time."""

SHARES = 3
"""Of the places around a call each text is written into a share; the shares take turns."""

OURS = ("acme's key", "acme's expired key", "globex's key", "operators' key", "acme's webhook secret", "master")
"""Secrets between callers and us."""

OF_PROVIDERS = ("token", "previous token", "another account's token", "public key", "shared secret", "callback key")
"""Secrets between providers and us."""

Work = Coroutine[Any, Any, Any]


async def all_of(work: Iterable[Work]) -> None:
    """Do all of it, a few at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(work: Work) -> None:
        async with free:
            await work

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


async def play(world: World) -> None:
    """Everything, then a look from every side."""
    await sessions(world)
    await all_of(quoting_providers(world))
    await all_of(careless_tenants(world))
    await all_of(careless_operators(world))
    await all_of(strangers(world))
    await all_of(misplaced_in_callbacks(world))
    await all_of(proved_callbacks(world))
    await look(world)


async def sessions(world: World) -> None:
    """A login that is refused with everything quoted, one that works, and another after the session ended."""
    first, second = SESSIONS.values()
    refused = saying({"error": SETTINGS["client secret"]}, status=403)
    world.far.logins = [refused, *(saying({"token": token}) for token in (first, second))]
    body = psp_body(account="canary-main")
    await create(world, body)
    await create(world, body)
    world.far.answers["r-0-end"] = saying({"kind": "declined", "text": first}, status=401)
    await create(world, {**body, "merchant_reference": "r-0-end"})
    await create(world, {**body, "merchant_reference": "after"})


async def create(world: World, body: Any, **headers: str) -> tuple[int, Any]:
    """Create a payment under a fresh key."""
    keyed = {"Idempotency-Key": f"key-{uuid.uuid4().hex}", **headers}
    return await world.call("POST", "/v1/payments", body, key="acme's key", headers=keyed)


QUOTING = (
    ("psp-main", psp_body, psp_texts, psp_names, ("token", "previous token", "another account's token")),
    ("creditkey-main", creditkey_body, creditkey_texts, creditkey_names, ("public key", "shared secret")),
    ("canary-main", psp_body, canary_texts, canary_names, ("client secret", "callback key", "next session")),
)
"""Providers, what they can quote a text in, and which secrets they know."""


def quoting_providers(world: World) -> Iterator[Work]:
    """Every provider answers creates with its secrets quoted in every form, and with card numbers.

    In ids and addresses a card number is written in groups: a plain number may be an honest id, so it is kept.
    """
    known = {**SETTINGS, **SESSIONS}
    for account, body_of, texts, names, secrets in QUOTING:
        forms = [form for secret in secrets for form in quotations(known[secret])]
        spelled = [spellings(card)[at % 14] for at, card in enumerate(CARDS)]
        answers = [texts(form)[at % len(texts(""))] for at, form in enumerate([*forms, *spelled, *CARDS])]
        answers += [names(form)[at % len(names(""))] for at, form in enumerate([*forms, *map(_grouped, CARDS)])]
        for at, answer in enumerate(answers):
            reference = f"r-{account}-{at}-end"
            world.far.answers[reference] = answer
            body = body_of(account=account, merchant_reference=reference)
            yield create(world, {**body, "customer": {"id": reference}, "return_url": None, "cancel_url": None})


def _some(work: Iterable[Work], at: int, of: int = SHARES) -> Iterator[Work]:
    """Every so many of the works, others for each ``at``: together the texts stand in every place."""
    for number, one in enumerate(work):
        if number % of == at % of:
            yield one
        else:
            one.close()


Place = Callable[[Any, str], None]


def _set(*path: Any) -> Place:
    def place(body: Any, text: str) -> None:
        for step in path[:-1]:
            body = body[step] if isinstance(body, list) else body.setdefault(step, {})
        body[path[-1]] = text

    return place


def _name(*path: Any) -> Place:
    def place(body: Any, text: str) -> None:
        for step in path:
            body = body.setdefault(step, {})
        body[text] = "x"

    return place


FREE: dict[str, Place] = {
    "customer.name": _set("customer", "name"),
    "customer.language": _set("customer", "language"),
    "customer.device": _set("customer", "device"),
    "item name": _set("order", "items", 0, "name"),
    "item size": _set("order", "items", 0, "size"),
    "item color": _set("order", "items", 0, "color"),
    **{
        f"address {name}": _set("order", "billing_address", name)
        for name in ("first_name", "last_name", "company_name", "address1", "address2", "city", "state")
    },
    "metadata value": _set("metadata", "note"),
    "metadata name": _name("metadata"),
    "fields value": _set("fields", "custom_1"),
    "fields name": _name("fields"),
    "account": _set("account"),
    "deposit_method": _set("deposit_method"),
    "currency": _set("currency"),
    "amount": _set("amount"),
    "unknown member": _set("unknown"),
    "name of a member": _name(),
    "unknown member of an item": _set("order", "items", 0, "unknown"),
    "name of a member of the customer": _name("customer"),
}
"""Texts of a create body in which a card number is found in any spelling."""

IDS: dict[str, Place] = {
    "customer.id": _set("customer", "id"),
    "customer.email": _set("customer", "email"),
    "customer.phone": _set("customer", "phone"),
    "zip": _set("order", "billing_address", "zip"),
    "phone_number": _set("order", "billing_address", "phone_number"),
    "rep_email": _set("checkout", "rep_email"),
    "return_url": lambda body, text: body.update(return_url=f"https://shop.example/{quote(text)}"),
    "cancel_url": lambda body, text: body.update(cancel_url=f"https://shop.example/?a={quote(text)}"),
}
"""Ids, phones and addresses: whole numbers as issuers make them."""

REFERENCES: dict[str, Place] = {
    "merchant_reference": _set("merchant_reference"),
    "sku": _set("order", "items", 0, "sku"),
    "merchant_id": _set("order", "items", 0, "merchant_id"),
}
"""Texts that are numbers by nature: only what is grouped as on a card is refused (docs/adr/0023)."""


def careless_tenants(world: World) -> Iterator[Work]:
    """Tenants write card numbers, and keys and secrets, into every member of every body, headers, paths and queries."""
    misplaced = [SETTINGS[name] for name in (*OURS, *OF_PROVIDERS)]
    for places, spelled in ((FREE, spellings), (IDS, lambda card: spellings(card)[:10]), (REFERENCES, in_groups)):
        for at, put in enumerate(places.values()):
            forms = [spelled(card)[(at + number) % len(spelled(card))] for number, card in enumerate(CARDS)]
            for text in (*forms[at % 3 :: 3], *misplaced[at % 3 :: 3]):
                body = json.loads(json.dumps(creditkey_body()))
                put(body, text)
                yield create(world, body)
    for card in CARDS:
        yield create(world, psp_body(metadata={"a": card[:8], "b": card[8:]}))
        yield create(
            world, psp_body(customer={"name": card[:4]}, metadata={"b": card[4:8], "c": card[8:12], "d": card[12:]})
        )
    for at, text in enumerate((*CARDS, *misplaced)):
        yield from _some(_around_a_tenants_call(world, text), at)


def _around_a_tenants_call(world: World, text: str) -> Iterator[Work]:
    """One text as header, path, query, and in the bodies of all other calls."""

    def call(method: str, path: str, body: Any = None, **headers: str) -> Work:
        keyed = {"Idempotency-Key": f"key-{uuid.uuid4().hex}", **headers}
        return world.call(method, path, body, key="acme's key", headers=keyed)

    yield create(world, psp_body(), **{"Idempotency-Key": text})
    yield create(world, psp_body(), **{"X-Request-Id": text})
    yield create(world, psp_body(), **{"User-Agent": text, "X-Api-Key": text, "Referer": f"https://x.example/{text}"})
    yield create(world, json.dumps(text).encode())
    yield create(world, f'{{"merchant_reference": "{text}", "amount": '.encode())
    yield create(world, f'{{"{text}": 1, "{text}": 2}}'.encode())
    yield create(world, psp_body(), **{"Content-Type": text})
    quoted = quote(text, safe="")
    for path in (
        "/v1/payments/{}",
        "/v1/payments/{}/events",
        "/problems/{}",
        "/docs/{}",
        "/{}",
        "/v1/{}",
        "/callbacks/{}",
    ):
        yield call("GET", path.format(quoted))
    names = (
        "merchant_reference",
        "cursor",
        "limit",
        "state",
        "account",
        "created_after",
        "key",
        "payment_id",
        "status",
    )
    lists = ("/v1/payments", "/v1/webhooks/deliveries", "/v1/accounts", "/v1/deposit-methods")
    for at, path in enumerate(lists):
        yield call("GET", f"{path}?{'&'.join(f'{name}={quoted}' for name in names[at % 3 :: 3])}")
        yield call("GET", f"{path}?{quoted}={quoted}")
    payment = "/v1/payments/pay_0192f0c4a5b87c3d9e1f2a3b4c5d6e7f"
    for body in ({"merchant_status": text}, {"amount": text}, {text: text}, {"order": {"items": [{"name": text}]}}):
        yield call("POST", f"{payment}/capture", body)
        yield call("PATCH", payment, body)
    for path in ("/refunds", "/cancel", "/sync"):
        yield call("POST", f"{payment}{path}", {"reason": text})
        yield call("POST", f"{payment}{path}", {text: text})
    for path in ("test", "enable", "redeliver", f"deliveries/{quoted}/redeliver"):
        yield call("POST", f"/v1/webhooks/{path}", {"created_after": text, text: text})


def careless_operators(world: World) -> Iterator[Work]:
    """Operators do the same, on their listener."""
    for at, text in enumerate((*CARDS, *(SETTINGS[name] for name in (*OURS, *OF_PROVIDERS)))):
        yield from _some(_around_an_operators_call(world, text), at)


RESOLVING = (
    "reviews/{}/resolve",
    "operations/{}/resolve",
    "inbox/{}/replay",
    "inbox/{}/reverify",
    "deliveries/{}/redeliver",
)


def _around_an_operators_call(world: World, text: str) -> Iterator[Work]:
    quoted, headers = quote(text, safe=""), {"X-Request-Id": text}
    for path in RESOLVING:
        for body in ({"reason": text, "outcome": "declined"}, {"actor": text, "reason": "x"}, {text: text}):
            address = f"/admin/v1/{path.format(quoted)}"
            yield world.call("POST", address, body, key="operators' key", admin=True, headers=headers)
    for path in ("inbox", "deliveries", "reviews", "operations"):
        for query in (f"{quoted}={quoted}", f"tenant={quoted}", f"cursor={quoted}&status={quoted}"):
            yield world.call("GET", f"/admin/v1/{path}?{query}", key="second operators' key", admin=True)


def strangers(world: World) -> Iterator[Work]:
    """Credentials that open nothing, on both listeners and at an account's address."""
    basic = base64.b64encode(f"user:{STRANGERS['basic password']}".encode()).decode()
    headers = (
        {"Authorization": f"Bearer {STRANGERS['mistyped key']}"},
        {"Authorization": f"Basic {basic}"},
        {"Proxy-Authorization": f"Basic {STRANGERS['proxy password']}"},
        {"Cookie": f"session={STRANGERS['cookie']}; a=b"},
        {"X-Api-Key": STRANGERS["x-api-key"]},
        {"X-Auth-Token": STRANGERS["x-auth-token"]},
        {"X-Session-Token": STRANGERS["x-session"]},
        *({"Authorization": f"Bearer {SETTINGS[name]}"} for name in ("acme's expired key", "globex's key")),
        {"crm-pay-token": _globex_token(world)},
        {"X-Auth-Token": _globex_token(world)},
    )
    for one in headers:
        for path in ("/v1/payments", "/v1/accounts", _endpoint(world, "psp-main"), _endpoint(world, "canary-main")):
            yield world.call("POST", path, {}, headers=one)
        yield world.call("GET", "/admin/v1/inbox", headers=one, admin=True)


def misplaced_in_callbacks(world: World) -> Iterator[Work]:
    """At accounts' addresses: secrets and card numbers in headers of any name, in paths, queries and bodies."""
    links = world.links()
    secrets = [SETTINGS[name] for name in (*OURS, *OF_PROVIDERS, "client secret")] + [*SESSIONS.values()]
    for shift, account in enumerate(("psp-main", "canary-main", "creditkey-main")):
        endpoint = _endpoint(world, account)
        for at, text in enumerate((*secrets, *CARDS[:10], *(spellings(card)[2] for card in CARDS[10:])), shift):
            yield from _some(_around_a_callback(world, endpoint, text), at)
        for text in links.values():
            yield world.call("POST", f"{endpoint}/other/return/{text}", {"see": f"{endpoint}/return/{text}"})
            yield world.call("POST", f"{endpoint}?url={quote(f'{endpoint}/complete/{text}', safe='')}", {})
    for purpose in ("return", "cancel", "complete"):
        link = f"{_endpoint(world, 'creditkey-main')}/{purpose}/{links[f'{purpose} link']}"
        for text in (*secrets, *CARDS):
            yield world.call(
                "GET",
                f"{link}?id={quote(text, safe='')}&x={quote(text, safe='')}",
                headers={"X-Note": in_a_header(text)},
            )


def _around_a_callback(world: World, endpoint: str, text: str) -> Iterator[Work]:
    quoted, plain = quote(text, safe=""), in_a_header(text)
    bodies = (
        *(json.dumps({"order_no": text, "sign": text, text: text}).encode(), text.encode(), f"token={quoted}".encode()),
        *(json.dumps({"a": "".join(f"\\u{ord(one):04x}" for one in text)}).replace("\\\\", "\\").encode(),),
        *(
            base64.b64encode(f"u:{text}".encode()),
            text.encode().hex().encode(),
            f"\xff{text}".encode("latin-1", "replace"),
        ),
    )
    for body in bodies:
        yield world.call("POST", f"{endpoint}/pay/callback", body)
    basic = base64.b64encode(f"user:{text}".encode()).decode()
    for headers in (
        *(
            {name: plain}
            for name in ("X-Note", "User-Agent", "X-Forwarded-For", "crm-pay-token", "X-Canary-Key", "X-Token")
        ),
        *({"Authorization": f"Bearer {plain}"}, {"Authorization": f"Basic {basic}"}, {"Cookie": f"a={plain}"}),
        *(
            {"X-Basic": f"Basic {basic}"},
            {"X-Hex": text.encode().hex()},
            {"X-Percent": quoted},
            {f"X-{quoted[:60]}": "name"},
        ),
    ):
        yield world.call("POST", f"{endpoint}/pay/callback", {}, headers=headers)
    for path in (
        f"/{quoted}",
        f"/pay/callback/{quoted}",
        f"/pay/callback?{quoted}",
        f"?token={quoted}&a=b",
        f"/return/{quoted}",
    ):
        yield world.call("POST", f"{endpoint}{path}", {})
        yield world.call("GET", f"{endpoint}{path}")


def proved_callbacks(world: World) -> Iterator[Work]:
    """Callbacks that are believed, with a secret or a card number in what they tell; ids as providers' above."""
    secrets = [SETTINGS[name] for name in ("token", "shared secret", "acme's key")]
    for text in (*secrets, *CARDS[:4], *map(_grouped, CARDS[4:8])):
        name = _grouped(text) if text in CARDS else text
        for member in ("note", "user_id"):
            yield _prove_psp(world, {member: text})
        yield _prove_psp(world, {"transaction_id": name})
        yield _prove_canary(world, {"text": text})
        for member in ("reference", "id"):
            yield _prove_canary(world, {member: name})


def _grouped(card: str) -> str:
    return spellings(card)[2]


async def _prove_psp(world: World, told: dict[str, str]) -> None:
    _, payment = await create(world, psp_body(account="psp-main"))
    entry = world.settings.tenants["acme"].accounts["psp-main"]
    members = {
        "merchant_id": str(entry.provider.credentials(entry.account)["merchant_id"]),
        "order_no": payment["id"],
        "amount": 162.48,
        "currency": "USD",
        "time": _milliseconds(payment["created_at"]),
        "status": 1,
        **told,
    }
    body = {**members, "sign": sign(members, SETTINGS["token"])}
    headers = {"crm-pay-token": SETTINGS["token"]}
    status, _ = await world.call("POST", f"{_endpoint(world, 'psp-main')}/pay/callback", body, headers=headers)
    assert status in (204, 400), status


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)


async def _prove_canary(world: World, told: dict[str, str]) -> None:
    _, payment = await create(world, psp_body(account="canary-main"))
    body = {"payment": payment["id"], "reference": f"ref-{payment['id']}", "text": "x", "id": uuid.uuid4().hex, **told}
    headers = {"X-Canary-Key": SETTINGS["callback key"]}
    await world.call("POST", _endpoint(world, "canary-main"), body, headers=headers)


def _endpoint(world: World, account: str) -> str:
    return f"/callbacks/{world.settings.tenants['acme'].accounts[account].endpoint_id}"


def _globex_token(world: World) -> str:
    entry = world.settings.tenants["globex"].accounts["psp-main"]
    token = entry.provider.credentials(entry.account)["token"]
    return token if isinstance(token, str) else token.reveal()


async def look(world: World) -> None:
    """Read everything that can be read: as tenant, as operator, as a stranger, on the command line, from a backup."""
    for path in (
        "/openapi.json",
        "/docs",
        "/problems/not_found",
        "/v1/accounts",
        "/v1/deposit-methods",
        "/v1/webhooks",
    ):
        await world.call("GET", path, key="acme's key")
    await _read_list(
        world, "/v1/payments?limit=200", lambda one: [f"/v1/payments/{one['id']}", f"/v1/payments/{one['id']}/events"]
    )
    await _read_list(world, "/v1/webhooks/deliveries?limit=200", lambda _: [])
    await _read_list(world, "/admin/v1/inbox?limit=200", lambda one: [f"/admin/v1/inbox/{one['id']}"], admin=True)
    for path in ("reviews", "operations", "deliveries?limit=200"):
        await world.call("GET", f"/admin/v1/{path}", key="operators' key", admin=True)
    await commands(world)


async def _read_list(world: World, path: str, more: Callable[[Any], list[str]], *, admin: bool = False) -> None:
    key, cursor = ("operators' key" if admin else "acme's key"), ""
    while True:
        _, page = await world.call("GET", path + cursor, key=key, admin=admin)
        await all_of(world.call("GET", one, key=key, admin=admin) for row in page["data"] for one in more(row))
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


async def commands(world: World) -> None:
    """The command line, beside the running server."""
    listed = json.loads(await world.command("inbox", "list", "--limit", "3000", "--json"))
    rows = listed["data"] if isinstance(listed, dict) else listed
    some = [row["id"] for row in rows[:: max(1, len(rows) // 2)]][:2]
    await asyncio.gather(
        world.command("inbox", "list", "--limit", "3000"),
        world.command("payments", "list", "--json"),
        world.command("plugins", "list"),
        world.command("check"),
        world.command("accounts", "show"),
        world.command("backup", str(world.folder / "data" / "copy.db")),
    )
    for one in some:
        await world.command("inbox", "show", one)
        await world.command("callback", "explain", one)
