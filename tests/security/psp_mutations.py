"""Callbacks of a PSP bridge, valid at first and then mutated in one to three ways; deterministic for a ``Random``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.security.json_scanner import Unreadable, scan
from tests.security.psp_values import AMOUNTS, HEADERS, KEYS, MEDIA_TYPES, METHODS, NUMBERS, SUFFIXES, TEXTS
from tests.security.psp_verifier import DAY, Merchant, Order, Refusal, Sent, signed, string_a


@dataclass
class CallbackDraft:
    """A callback while it is being mutated: members as raw JSON texts, and how to sign and send it."""

    order: Order
    members: list[tuple[str, str]]
    merchant: Merchant
    headers: list[tuple[str, str]]
    at: int
    token: str
    method: str = "POST"
    suffix: str = "pay/callback"
    canonical: bool = True
    resign: bool = True
    reform: Callable[[str], str | None] = str
    on_bytes: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def value(self, key: str, text: str) -> None:
        """Replace a member's value in place, or add it."""
        names = [name for name, _ in self.members]
        if key in names:
            self.members[names.index(key)] = (key, text)
        else:
            self.members.append((key, text))


def honest(order: Order, at: int, random: Random) -> CallbackDraft:
    """Return a valid callback of a bridge for an order, in one of its valid forms."""
    transaction = random.choice(["T-1", "T-1", "T-2", None])
    members = {
        "merchant_id": json.dumps(order.merchant.merchant_id),
        "order_no": json.dumps(order.payment_id),
        "transaction_id": json.dumps(transaction),
        "amount": random.choice(AMOUNTS[:7]),
        "currency": random.choice(['"USD"', '"usd"', '"Usd"']),
        "time": str(at + random.choice([0, -1000, 1000, -DAY // 2, DAY // 2])),
        "status": random.choice("1120"),
    }
    if random.random() < 0.3:
        members["user_id"] = random.choice(TEXTS[:6])
    shuffled = list(members.items())
    random.shuffle(shuffled)
    return CallbackDraft(
        order=order,
        members=shuffled,
        merchant=order.merchant,
        headers=[("Content-Type", "application/json"), ("crm-pay-token", order.merchant.token)],
        at=at,
        token=order.merchant.token,
        canonical=random.random() < 0.5,
    )


def finished(draft: CallbackDraft, random: Random) -> Sent:
    """Sign, write and mutate the bytes."""
    body = _written([*draft.members, ("sign", json.dumps("0" * 40))], random)
    if draft.resign:
        sign = draft.reform(_sign_of(body, draft))
        members = [*draft.members] if sign is None else [*draft.members, ("sign", sign)]
        random.shuffle(members)
        body = _written(members, random)
    for mutate in draft.on_bytes:
        body = mutate(body) if body else body
    return Sent(draft.merchant, draft.method, draft.suffix, tuple(draft.headers), body, draft.at)


def _written(members: Sequence[tuple[str, str]], random: Random) -> bytes:
    blank = random.choice(["", "", " ", "\n\t"])
    text = f",{blank}".join(f'"{key}"{blank}:{value}' for key, value in members)
    return f"{blank}{{{text}}}{blank}".encode("utf-8", "surrogatepass")


def _sign_of(body: bytes, draft: CallbackDraft) -> str:
    try:
        read = scan(body)
        string, _ = string_a(read if isinstance(read, dict) else {}, canonical=draft.canonical)
    except (Unreadable, Refusal):
        string = body.decode("utf-8", "replace")
    return json.dumps(signed(string, draft.token))


Mutation = Callable[[CallbackDraft, Random, Sequence[Order]], None]


def _change_amount(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.value("amount", random.choice(AMOUNTS))


def _change_status(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.value("status", random.choice(NUMBERS))


def _change_time(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    times = [draft.at // 1000, draft.at * 1000, draft.at + 3 * DAY, draft.at - 3 * DAY, 0, -draft.at]
    texts = [*map(str, times), f"{draft.at}.0", f"{draft.at}.5", f'"{draft.at}"', f"{draft.at}e0", "1e400", "null"]
    draft.value("time", random.choice(texts))


def _change_currency(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.value(
        "currency",
        random.choice(['"EUR"', '"US"', '"USDT"', '" USD"', '"USD "', '"ＵＳＤ"', '"uſd"', "null", "840", '""']),
    )


def _change_text(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.value(random.choice(["transaction_id", "user_id", "merchant_id", "order_no", "note"]), random.choice(TEXTS))


def _change_any(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.value(random.choice(draft.members)[0], random.choice([*TEXTS, *NUMBERS]))


def _add(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.members.append((random.choice(KEYS), random.choice([*TEXTS, *NUMBERS, *AMOUNTS])))


def _add_beyond_the_first_plane(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    """Two keys that sort differently by code point and by UTF-16 code unit."""
    draft.members += [("😀", random.choice(TEXTS[:1])), ("\\uffff", '"x"')]


def _drop(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    draft.members.pop(random.randrange(len(draft.members)))


def _double(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    key, value = random.choice(draft.members)
    spelled = "".join(f"\\u{ord(one):04x}" if random.random() < 0.5 else one for one in key)
    draft.members.append((random.choice([key, spelled]), random.choice([value, *AMOUNTS, *TEXTS])))


def _escape(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    at = random.randrange(len(draft.members))
    key, value = draft.members[at]
    spelled = "".join(f"\\u{ord(one):04X}" for one in value[1:-1]) if value[:1] == '"' and "\\" not in value else None
    draft.members[at] = (
        ("".join(f"\\u{ord(one):04x}" for one in key[:1]) + key[1:], value)
        if spelled is None
        else (key, f'"{spelled}"')
    )


def _rename(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    at = random.randrange(len(draft.members))
    key, value = draft.members[at]
    draft.members[at] = (random.choice([key.upper(), key.title(), f"{key} ", f" {key}", key.replace("_", "")]), value)


def _swap(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    (one, first), (other, second) = random.sample(draft.members, 2)
    draft.value(one, second)
    draft.value(other, first)


def _of_another(draft: CallbackDraft, random: Random, others: Sequence[Order]) -> None:
    """Another payment, account or tenant, in one place or in several."""
    other = random.choice(others)
    wishes: list[Callable[[], None]] = [
        lambda: draft.value("order_no", json.dumps(other.payment_id)),
        lambda: draft.value("order_no", json.dumps(random.choice(["pay_" + "0" * 32, draft.order.payment_id.upper()]))),
        lambda: draft.value("merchant_id", json.dumps(other.merchant.merchant_id)),
        lambda: setattr(draft, "seat", other.merchant),
        lambda: setattr(draft, "token", other.merchant.token),
        lambda: _set_token(draft, other.merchant.token),
    ]
    for wish in random.sample(wishes, random.choice([1, 1, 2, 3])):
        wish()


def _headers(draft: CallbackDraft, random: Random, others: Sequence[Order]) -> None:
    token = draft.order.merchant.token
    other = random.choice(others).merchant.token
    headers = random.choice(
        [
            [],
            [(random.choice(HEADERS), token)],
            [("crm-pay-token", token), (random.choice(HEADERS), random.choice([token, other, ""]))],
            [("crm-pay-token", random.choice([token.upper(), token[:-1], f"{token}x", f"{token},{token}", "", other]))],
            [
                (
                    "crm-pay-token",
                    random.choice([f" {token}", f"{token} ", f'"{token}"', f"Bearer {token}", token + "\udcff"]),
                )
            ],
        ]
    )
    draft.headers = [("Content-Type", "application/json"), *headers]


def _set_token(draft: CallbackDraft, token: str) -> None:
    draft.headers = [(name, token if name == "crm-pay-token" else value) for name, value in draft.headers]


def _envelope(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    match random.randrange(3):
        case 0:
            draft.method = random.choice(METHODS)
        case 1:
            draft.suffix = random.choice(SUFFIXES)
        case _:
            types = random.choice([[], [random.choice(MEDIA_TYPES)], ["application/json", random.choice(MEDIA_TYPES)]])
            kept = [pair for pair in draft.headers if pair[0] != "Content-Type"]
            draft.headers = [*(("Content-Type", one) for one in types), *kept]


def _sign(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    """The sign in other forms; None: it is left out."""
    forms: list[Callable[[str], str | None]] = [
        str.lower,
        str.swapcase,
        lambda sign: sign[:-2] + '"',
        lambda sign: sign[:-1] + '0"',
        lambda sign: f'" {sign[1:]}',
        lambda sign: sign[:-1] + '\\n"',
        lambda sign: f"[{sign}]",
        lambda sign: '"' + "".join(f"\\u{ord(one):04x}" for one in sign[1:-1]) + '"',
        lambda sign: sign.replace("1", "１"),
        lambda sign: json.dumps(hashlib.md5(sign.encode()).hexdigest().ljust(40, "0")),
        lambda sign: sign[:7] + ("0" if sign[7] != "0" else "1") + sign[8:],
        lambda _: '""',
        lambda _: "null",
        lambda _: "1" * 40,
        lambda _: None,
    ]
    draft.reform = random.choice(forms)


def _unsigned(draft: CallbackDraft, random: Random, others: Sequence[Order]) -> None:
    """Change something after it was signed."""
    frozen = _sign_of(_written([*draft.members], random), draft)
    draft.reform = lambda _: frozen
    random.choice([_change_amount, _change_status, _change_text, _add, _drop, _of_another])(draft, random, others)


def _bytes(draft: CallbackDraft, random: Random, _: Sequence[Order]) -> None:
    share = random.random()

    def place(body: bytes) -> int:
        return int(share * len(body))

    bit, junk = 1 << random.randrange(8), bytes([random.randrange(256)])
    spoils: list[Callable[[bytes], bytes]] = [
        lambda body: body[: place(body)] + bytes([body[place(body)] ^ bit]) + body[place(body) + 1 :],
        lambda body: body[: place(body)] + junk + body[place(body) :],
        lambda body: body[: place(body)] + body[place(body) + 1 :],
        lambda body: body[: place(body)],
        lambda body: body + random.choice([b"\0", b" ", b"{}", b",", b"\n", b"}", b"//x"]),
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.decode("utf-8", "replace").encode(random.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"])),
        lambda body: body.decode("utf-8", "replace").encode("latin-1", "replace"),
        lambda body: body.replace(b"/", b"\xc0\xaf").replace(b"e", b"\xc1\xa5", 1),
        lambda body: body.replace(b'"', b"'"),
        lambda _: random.choice([b"", b"null", b"[]", b"1", b'"x"', b"{", b"amount=162.48", b"\x00"]),
    ]
    draft.on_bytes.append(random.choice(spoils))


MUTATIONS: tuple[Mutation, ...] = (
    *(
        _change_amount,
        _change_amount,
        _change_status,
        _change_time,
        _change_currency,
        _change_text,
        _change_any,
        _add,
        _drop,
        _double,
    ),
    *(_add_beyond_the_first_plane, _escape, _rename, _swap, _of_another, _headers, _envelope, _sign, _unsigned, _bytes),
)


def mutated(order: Order, others: Sequence[Order], at: int, random: Random) -> Sent:
    """Return a valid callback, mutated in up to three ways."""
    draft = honest(order, at, random)
    for mutate in random.choices(MUTATIONS, k=random.choice([0, 1, 1, 1, 2, 3])):
        mutate(draft, random, others)
    return finished(replace(draft), random)
