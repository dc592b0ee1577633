"""Whatever valid rules an account has and whatever a payment holds: what is sent is what the rules say, and no more.

Each test builds real requests from generated rules and payments, and compares them with a few lines that say what the
rules mean. Nothing may be refused without a reason, and the explanation must account for every key and omission.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from gateway_creditkey import CreditKey
from gateway_creditkey.fields import FIELDS as CREDIT_KEY
from gateway_psp_open_api import PspOpenApi
from gateway_psp_open_api.requests import FIELDS as PSP
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.core.create_explanation import left_out, sent_members
from gateway.core.field_mapping import FieldChange, FieldRule, nested_on_wire
from tests.support.factories import creditkey, psp

WORDS = ("gold", "de", "7", "Ä ö")
TEXTS, MAYBE = st.sampled_from(WORDS), st.sampled_from((*WORDS, None))
FOUND = {"metadata.branch || ''": None, "'7'": "7", "currency": "USD", "customer": ""}
"""Expressions, and what they find; the first depends on the payment."""

EXTRAS = ("custom_1", "channel", "tier")
NESTED = {name: rule for name, rule in CREDIT_KEY.items() if rule.inside}
NESTED_EXTRAS = ("order.items[].unit", "order.charges.note", "order.billing_address.vat_id")
INSIDE = {name.rpartition(".")[0]: rule.inside.removesuffix("[]") for name, rule in NESTED.items()}

Rules = Mapping[str, FieldChange]
Choices = st.lists(TEXTS, min_size=1, unique=True).map(lambda words: {word: {} for word in words})


@st.composite
def changes(draw: st.DrawFn, rule: FieldRule | None, is_nested: bool) -> FieldChange:
    """One change that a field allows, but for its key; ``rule`` None: an additional parameter."""
    if rule is not None and (rule.locked or rule.type != "string"):
        return FieldChange(enabled=rule.locked or draw(st.booleans()))
    kinds: list[dict[str, Any]] = [{"value": draw(TEXTS)}]
    if rule is not None or not is_nested:
        kinds += [{}, {"required": True}]
    if rule is not None and not rule.mandatory:
        kinds += [{"enabled": False}]
    if not is_nested:
        kinds += [{"computed": draw(st.sampled_from(list(FOUND)))}, {"choices": draw(Choices)}]
    kind = draw(st.sampled_from(kinds))
    known = st.sampled_from([*kind.get("choices", WORDS), ""])
    return FieldChange(values=draw(st.dictionaries(known, st.sampled_from(("1", "")))), **kind)


@st.composite
def rules(draw: st.DrawFn, declared: Mapping[str, FieldRule], extras: Iterable[str]) -> Rules:
    """Changes to some fields; those that get another key swap theirs with each other and with new ones."""
    names = draw(st.lists(st.sampled_from([*declared, *extras]), unique=True, max_size=12))
    made = {name: draw(changes(declared.get(name), "." in name)) for name in names}
    for place in {name.rpartition(".")[0] for name in names}:
        own = [name for name in names if name.rpartition(".")[0] == place and made[name].enabled]
        pool = [*(name.rpartition(".")[2] for name in own), "a.1", "b-2", "_c"]
        for name, key in zip(own, draw(st.permutations(pool)), strict=False):
            made[name] = FieldChange(**{**_parts(made[name]), "key": key})
    return made


def _parts(change: FieldChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__struct_fields__}


def built(provider: gateway.Provider, command: gateway.Command, account: gateway.Account) -> tuple[Any, int]:
    """The body, in which no key is there twice, or None and how many problems the payment was refused with."""
    try:
        return gateway.loads(provider.build(command, account).body), 0
    except gateway.FieldProblem as refused:
        return None, len(refused.problems)


@st.composite
def psp_payments(draw: st.DrawFn, changed: Rules) -> gateway.CreatePayment:
    """A payment whose customer answers some of what is asked, in either place or in both."""
    customer = {rule.source.partition(".")[2]: draw(MAYBE) for rule in PSP.values() if rule.source}
    answers = {}
    for field in psp.account(fields=changed).fields.asked():
        stated = customer.get(field.source.partition(".")[2]) if field.source else None
        answer = draw(st.sampled_from((stated, None)) if stated else MAYBE)
        answers |= {field.name: answer} if answer else {}
    metadata = {"branch": draw(TEXTS)} if draw(st.booleans()) else {}
    return psp.create(customer=gateway.Customer(**customer), fields=answers, metadata=metadata)


def _given(name: str, change: FieldChange, command: gateway.CreatePayment) -> str:
    """What the payment or the account says, in our words."""
    if change.value is not None:
        return change.value
    if change.computed is not None:
        return FOUND[change.computed] if FOUND[change.computed] is not None else command.metadata.get("branch", "")
    source = PSP[name].source if name in PSP else ""
    stated = getattr(command.customer, source.partition(".")[2]) if source else None
    return stated or command.fields.get(name, "")


@given(st.data())
def test_api_1_is_what_the_rules_say(data: st.DataObject) -> None:
    """Own fields have their own values, each key is there once and explained, and the signature verifies."""
    changed = data.draw(rules(PSP, EXTRAS))
    command, account = data.draw(psp_payments(changed)), psp.account(fields=changed)
    every = {name: changed.get(name, FieldChange()) for name in (*PSP, *changed)}
    key = {name: change.key or name for name, change in every.items()}
    ours = {name: _given(name, change, command) for name, change in every.items() if change.enabled}
    refused = {
        name
        for name, text in ours.items()
        if not PSP.get(name, FieldRule()).locked
        and (
            (every[name].required and not every[name].values.get(text, text))
            or (text and every[name].choices and text not in every[name].choices)
        )
    }
    body, problems = built(PspOpenApi(), command, account)
    assert problems == len(refused)
    if body is None:
        return
    sign = body.pop(key["sign"])
    texts = {key[name]: every[name].values.get(text, text) for name, text in ours.items() if name != "sign"}
    own = {"merchant_id": psp.MERCHANT, "order_no": "pay_1", "currency": "USD", "amount": gateway.JsonNumber("162.48")}
    assert body == {name: text for name, text in texts.items() if text} | {key[name]: own[name] for name in own}
    signed = "&".join(f"{name}={getattr(body[name], 'text', body[name])}" for name in sorted(body))
    assert sign == hashlib.sha1((signed + psp.TOKEN.reveal()).encode()).hexdigest().upper()
    body[key["sign"]] = sign
    members = sent_members(body, account.fields, command, lambda _: None, str)
    left = [one.field for one in left_out(members, command, account.fields, lambda _: None)]
    assert {one.key: one.field for one in members} == {key[name]: name for name in every if key[name] in body}
    assert sorted(left) == sorted(every.keys() - {one.field for one in members})


@st.composite
def orders(draw: st.DrawFn) -> gateway.Order:
    """An order whose optional members are there or not."""
    price, amount = gateway.Amount("5"), st.sampled_from((gateway.Amount("1"), None))
    address = st.builds(gateway.Address, **dict.fromkeys(("company_name", "city", "state"), MAYBE))
    items = st.builds(
        gateway.Item,
        **dict.fromkeys(("sku", "size", "color"), MAYBE),
        **dict.fromkeys(("merchant_id", "name"), TEXTS),
        price=st.just(price),
        quantity=st.just(2),
    )
    totals = dict.fromkeys(("total", "grand_total"), st.just(gateway.Amount("10")))
    parts = dict.fromkeys(("shipping", "tax", "discount_amount"), amount)
    return gateway.Order(
        items=draw(st.lists(items, min_size=1, max_size=3)),
        charges=draw(st.builds(gateway.Charges, **totals, **parts)),
        billing_address=draw(address),
        shipping_address=draw(st.none() | address),
    )


def _of(place: str, changed: Rules) -> Rules:
    return {name: change for name, change in changed.items() if name.startswith(f"{place}.")}


def _object(place: str, plain: Mapping[str, Any], source: Any, changed: Rules) -> tuple[dict[str, Any], int]:
    """An object as the rules say, and how many of its members refuse the payment."""
    sent, refused = {}, 0
    for name in {**dict.fromkeys(f"{place}.{name}" for name in plain), **_of(place, changed)}:
        change, member = changed.get(name, FieldChange()), name.rpartition(".")[2]
        if not change.enabled:
            continue
        value = plain.get(member) if change.value is None else change.value
        if value is None or isinstance(value, str):
            value = change.values.get(value or "", value)
        is_needed = change.required or NESTED.get(name, FieldRule()).mandatory
        is_number = value is not None and not isinstance(value, str)
        refused += is_needed and (getattr(source, member) is None if is_number else not value)
        sent[change.key or member] = value
    return sent, refused


@given(rules(NESTED, NESTED_EXTRAS), orders())
def test_nested_objects_are_what_the_rules_say(changed: Rules, order: gateway.Order) -> None:
    """Members of items, charges and addresses have their own values and keys that are there once, each explained."""
    command = creditkey.create(
        order=order, money=creditkey.usd("10"), checkout=gateway.Checkout(mode="redirect"), customer=gateway.Customer()
    )
    account = creditkey.make_account(dict(changed), charges_identity="warn")
    plain = gateway.loads(CreditKey().build(command, creditkey.make_account(charges_identity="warn")).body)
    expected, refused = dict(plain), 0
    for place, key in INSIDE.items():
        source = getattr(order, place.removeprefix("order.").removesuffix("[]"))
        if source is None:
            refused += sum(change.required for change in _of(place, changed).values())
        elif isinstance(source, list):
            made = [_object(place, one, item, changed) for one, item in zip(plain[key], source, strict=True)]
            expected[key], refused = [one for one, _ in made], refused + sum(count for _, count in made)
        else:
            expected[key], count = _object(place, plain[key], source, changed)
            refused += count
    body, problems = built(CreditKey(), command, account)
    assert problems == refused
    if body is None:
        return
    assert body == expected
    nested = nested_on_wire(CREDIT_KEY, account.fields)
    members = sent_members(body, account.fields, command, lambda _: None, str, nested)
    inside = [one for one in members if one.key.startswith(tuple(INSIDE.values()))]
    assert all(one.field in NESTED or one.field in NESTED_EXTRAS for one in inside)
    left = [one.field for one in left_out(members, command, account.fields, lambda _: None, nested)]
    sent = {one.field for one in members if one.field is not None}
    assert sorted([*left, *sent]) == sorted({*CREDIT_KEY, *changed})
