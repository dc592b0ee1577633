"""Providers quote their secrets and card numbers in answers, and put them anywhere in callbacks."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from tests.security.canaries import CARDS, SESSIONS, SETTINGS, quotations, spellings
from tests.security.canary_gateway import ObservedGateway
from tests.security.canary_requests import OF_PROVIDERS, OURS, Work, create, endpoint_of, grouped, some
from tests.security.quoting_hosts import (
    canary_names,
    canary_texts,
    creditkey_names,
    creditkey_texts,
    in_a_header,
    psp_names,
    psp_texts,
    saying,
)
from tests.support.clients.psp_callbacks import sign
from tests.support.stack import creditkey_body, psp_body


async def sessions(observed: ObservedGateway) -> None:
    """Refuse a login and quote everything, accept one, and accept another after the session has ended."""
    first, second = SESSIONS.values()
    refused = saying({"error": SETTINGS["client secret"]}, status=403)
    observed.hosts.logins = [refused, *(saying({"token": token}) for token in (first, second))]
    body = psp_body(account="canary-main")
    await create(observed, body)
    await create(observed, body)
    observed.hosts.answers["r-0-end"] = saying({"kind": "declined", "text": first}, status=401)
    await create(observed, {**body, "merchant_reference": "r-0-end"})
    await create(observed, {**body, "merchant_reference": "after"})


QUOTING = (
    ("psp-main", psp_body, psp_texts, psp_names, ("token", "previous token", "another account's token")),
    ("creditkey-main", creditkey_body, creditkey_texts, creditkey_names, ("public key", "shared secret")),
    ("canary-main", psp_body, canary_texts, canary_names, ("client secret", "callback key", "next session")),
)
"""Provider, the answers it can quote a text in, and the secrets it knows."""


def quoting_providers(observed: ObservedGateway) -> Iterator[Work]:
    """Every provider answers creates with its secrets quoted in every form, and with card numbers.

    In ids and addresses a card number is written in groups: a plain number may be an honest id, so it is kept.
    """
    known = {**SETTINGS, **SESSIONS}
    for account, body_of, texts, names, secrets in QUOTING:
        forms = [form for secret in secrets for form in quotations(known[secret])]
        spelled = [spellings(card)[at % 14] for at, card in enumerate(CARDS)]
        answers = [texts(form)[at % len(texts(""))] for at, form in enumerate([*forms, *spelled, *CARDS])]
        answers += [names(form)[at % len(names(""))] for at, form in enumerate([*forms, *map(grouped, CARDS)])]
        for at, answer in enumerate(answers):
            reference = f"r-{account}-{at}-end"
            observed.hosts.answers[reference] = answer
            body = body_of(account=account, merchant_reference=reference)
            yield create(observed, {**body, "customer": {"id": reference}, "return_url": None, "cancel_url": None})


def misplaced_in_callbacks(observed: ObservedGateway) -> Iterator[Work]:
    """At callback endpoints: secrets and card numbers in headers of any name, in paths, queries and bodies."""
    links = observed.links()
    secrets = [SETTINGS[name] for name in (*OURS, *OF_PROVIDERS, "client secret")] + [*SESSIONS.values()]
    for shift, account in enumerate(("psp-main", "canary-main", "creditkey-main")):
        endpoint = endpoint_of(observed, account)
        for at, text in enumerate((*secrets, *CARDS[:10], *(spellings(card)[2] for card in CARDS[10:])), shift):
            yield from some(_around_a_callback(observed, endpoint, text), at)
        for text in links.values():
            yield observed.call("POST", f"{endpoint}/other/return/{text}", {"see": f"{endpoint}/return/{text}"})
            yield observed.call("POST", f"{endpoint}?url={quote(f'{endpoint}/complete/{text}', safe='')}", {})
    for purpose in ("return", "cancel", "complete"):
        link = f"{endpoint_of(observed, 'creditkey-main')}/{purpose}/{links[f'{purpose} link']}"
        for text in (*secrets, *CARDS):
            yield observed.call(
                "GET",
                f"{link}?id={quote(text, safe='')}&x={quote(text, safe='')}",
                headers={"X-Note": in_a_header(text)},
            )


def _around_a_callback(observed: ObservedGateway, endpoint: str, text: str) -> Iterator[Work]:
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
        yield observed.call("POST", f"{endpoint}/pay/callback", body)
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
        yield observed.call("POST", f"{endpoint}/pay/callback", {}, headers=headers)
    for path in (
        f"/{quoted}",
        f"/pay/callback/{quoted}",
        f"/pay/callback?{quoted}",
        f"?token={quoted}&a=b",
        f"/return/{quoted}",
    ):
        yield observed.call("POST", f"{endpoint}{path}", {})
        yield observed.call("GET", f"{endpoint}{path}")


def proved_callbacks(observed: ObservedGateway) -> Iterator[Work]:
    """Verified callbacks with a secret or a card number in their members; ids as in the answers above."""
    secrets = [SETTINGS[name] for name in ("token", "shared secret", "acme's key")]
    for text in (*secrets, *CARDS[:4], *map(grouped, CARDS[4:8])):
        name = grouped(text) if text in CARDS else text
        for member in ("note", "user_id"):
            yield _prove_psp(observed, {member: text})
        yield _prove_psp(observed, {"transaction_id": name})
        yield _prove_canary(observed, {"text": text})
        for member in ("reference", "id"):
            yield _prove_canary(observed, {member: name})


async def _prove_psp(observed: ObservedGateway, changes: dict[str, str]) -> None:
    _, payment = await create(observed, psp_body(account="psp-main"))
    entry = observed.settings.tenants["acme"].accounts["psp-main"]
    members = {
        "merchant_id": str(entry.provider.credentials(entry.account)["merchant_id"]),
        "order_no": payment["id"],
        "amount": 162.48,
        "currency": "USD",
        "time": _milliseconds(payment["created_at"]),
        "status": 1,
        **changes,
    }
    body = {**members, "sign": sign(members, SETTINGS["token"])}
    headers = {"crm-pay-token": SETTINGS["token"]}
    status, _ = await observed.call("POST", f"{endpoint_of(observed, 'psp-main')}/pay/callback", body, headers=headers)
    assert status in (204, 400), status


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)


async def _prove_canary(observed: ObservedGateway, changes: dict[str, str]) -> None:
    _, payment = await create(observed, psp_body(account="canary-main"))
    body = {
        "payment": payment["id"],
        "reference": f"ref-{payment['id']}",
        "text": "x",
        "id": uuid.uuid4().hex,
        **changes,
    }
    headers = {"X-Canary-Key": SETTINGS["callback key"]}
    await observed.call("POST", endpoint_of(observed, "canary-main"), body, headers=headers)
