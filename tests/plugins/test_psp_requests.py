"""gateway_psp_open_api.requests: what API-1 sends."""

from __future__ import annotations

from typing import Any

import gateway_psp_open_api as plugin
import pytest
from gateway_psp_open_api.signature import canonical, sign

import gateway
from gateway import JsonNumber
from gateway.core.field_mapping import FieldChange
from tests.support.factories.payments import usd
from tests.support.factories.psp import MERCHANT, NOW, TOKEN, account, create

PSP = plugin.PspOpenApi()


def sent(command: gateway.CreatePayment | None = None, **settings: Any) -> dict[str, Any]:
    """API-1's body for a command."""
    body = gateway.loads(PSP.build(command or create(), account(**settings)).body)
    assert isinstance(body, dict)
    return body


def reply(body: bytes, status: int = 200, media_type: str = "application/json") -> gateway.HttpResponse:
    return gateway.HttpResponse(status=status, headers=(("content-type", media_type),), body=body)


def read(body: bytes, status: int = 200, **settings: Any) -> gateway.Observation | gateway.Declined:
    return PSP.parse(create(), reply(body, status), account(**settings))


def test_api1_is_one_signed_post() -> None:
    """The request has the documented address, headers, members and sign."""
    request = PSP.build(create(customer=gateway.Customer(id="u1", name="John Doe", phone="+1 123456")), account())
    body = gateway.loads(request.body)
    assert (request.method, request.url) == ("POST", "https://psp.example/bridge/pay/url")
    assert request.headers == (("Content-Type", "application/json"), ("crm-pay-token", TOKEN.reveal()))
    assert body == {
        "user_id": "u1",
        "user_name": "John Doe",
        "phone": "+1 123456",
        "merchant_id": MERCHANT,
        "order_no": "pay_1",
        "amount": JsonNumber("162.48"),
        "currency": "USD",
        "sign": sign(canonical(body), TOKEN),
    }


@pytest.mark.parametrize("settings", [{}, {"amount_as_text": True, "fields": {"sign": FieldChange(key="mac")}}])
def test_the_signed_text_is_what_the_sign_covers(settings: dict[str, Any]) -> None:
    """With the token in place of the stars; an amount that is sent as text too."""
    command, used = create(money=usd("20000000000000000.00" if settings else "162.40")), account(**settings)
    request = PSP.build(command, used)
    shown = PSP.signed_text(request, used)
    assert shown.endswith("&order_no=pay_1***")
    assert gateway.loads(request.body)[used.fields.key("sign")] == sign(shown.removesuffix("***"), TOKEN)


def test_build_is_deterministic() -> None:
    """The same command gives the same bytes."""
    assert PSP.build(create(), account()) == PSP.build(create(), account())


def test_the_repr_of_a_request_hides_the_token() -> None:
    """A request that is logged by mistake shows no token."""
    assert TOKEN.reveal() not in repr(PSP.build(create(), account()))


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("base", ["https://psp.example", "https://psp.example/bridge", "https://psp.example:8443/a/b"])
def test_a_trailing_slash_of_app_url_is_removed(base: str, slash: str) -> None:
    """The address is joined with exactly one slash, and no part of its path is lost."""
    assert PSP.build(create(), account(app_url=base + slash)).url == f"{base}/pay/url"


def test_every_customer_field_has_its_wire_member() -> None:
    """All optional fields come from the customer."""
    customer = gateway.Customer(
        id="u1", name="N", email="e@x.example", phone="1", nationality="us", language="de", device="pc"
    )
    body = sent(create(customer=customer))
    names = ("user_id", "user_name", "email", "phone", "nationality", "language", "device")
    assert [body[name] for name in names] == ["u1", "N", "e@x.example", "1", "us", "de", "pc"]


def test_renamed_fields_are_sent_and_signed_under_their_wire_keys() -> None:
    """Even amount and sign can be renamed; the sign covers the wire keys."""
    body = sent(fields={"amount": FieldChange(key="sum"), "sign": FieldChange(key="signature")})
    assert body["sum"] == JsonNumber("162.48")
    assert body["signature"] == sign(f"currency=USD&merchant_id={MERCHANT}&order_no=pay_1&sum=162.48", TOKEN)
    assert not {"amount", "sign"} & set(body)


def test_a_field_that_is_off_is_absent() -> None:
    """A disabled field is neither sent nor signed."""
    command = create(customer=gateway.Customer(email="e@x.example"))
    assert "email" not in sent(command, fields={"email": FieldChange(enabled=False)})


def test_constants_and_additional_parameters_are_sent() -> None:
    """A constant is sent always, an additional parameter when the customer filled it in."""
    fields = {"channel": FieldChange(value="web"), "custom_1": FieldChange(key="vip"), "custom_2": FieldChange()}
    body = sent(create(fields={"custom_1": " AB "}), fields=fields)
    assert (body["channel"], body["vip"]) == ("web", "AB")
    assert "custom_2" not in body


@pytest.mark.parametrize(
    ("amount", "digits", "wire"),
    [
        ("100.00", 2, "100"),
        ("162.40", 2, "162.4"),
        ("500", 0, "500"),
        ("1.250", 3, "1.25"),
        ("0.0001", 4, "0.0001"),
        ("9999999999999990", 0, "9999999999999990"),
        ("1234567890123.45", 2, "1234567890123.45"),
    ],
)
def test_amounts_are_written_as_every_reader_prints_them(amount: str, digits: int, wire: str) -> None:
    """The literal is the shortest form, so literal and canonical signatures agree."""
    assert sent(create(amount, "XXX", digits))["amount"] == JsonNumber(wire)


UNSAFE = [("0.00009", 5), ("10000000000000000", 0), ("1234567890123.456", 3), ("0", 0)]


@pytest.mark.parametrize(("amount", "digits"), UNSAFE)
def test_amounts_that_readers_print_differently_are_refused(amount: str, digits: int) -> None:
    """Outside the safe range a number is not sent; the tenant's amount is named."""
    with pytest.raises(gateway.FieldProblem) as caught:
        sent(create(amount, "XXX", digits))
    assert caught.value.problems[0][0] == "$.amount"


@pytest.mark.parametrize(("amount", "digits"), UNSAFE[:3])
def test_unsafe_amounts_may_go_as_text(amount: str, digits: int) -> None:
    """With amount_as_text an amount outside the safe range is a JSON text."""
    assert sent(create(amount, "XXX", digits), amount_as_text=True)["amount"] == amount


def test_safe_amounts_stay_numbers() -> None:
    """amount_as_text changes nothing inside the safe range."""
    assert sent(amount_as_text=True)["amount"] == JsonNumber("162.48")


def test_nothing_is_not_an_amount() -> None:
    """Zero is refused in every form."""
    with pytest.raises(gateway.FieldProblem):
        sent(create("0", "XXX", 0), amount_as_text=True)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"customer": gateway.Customer(name="A&amount=1")}, "$.customer.name"),
        ({"fields": {"custom_1": "1&status=1"}}, "$.fields.custom_1"),
    ],
)
def test_texts_that_sign_like_members_are_refused(parts: dict[str, Any], path: str) -> None:
    """A value that could be read as further members is the tenant's 422, and names their member."""
    with pytest.raises(gateway.FieldProblem) as caught:
        sent(create(**parts), fields={"custom_1": FieldChange()})
    assert [problem[0] for problem in caught.value.problems] == [path]


def test_an_ambiguous_constant_is_refused_too() -> None:
    """A constant of the settings is checked like a customer's text."""
    with pytest.raises(gateway.FieldProblem, match=r"\$\.fields\.channel"):
        sent(fields={"channel": FieldChange(value="a&b=c")})


def test_other_commands_are_not_built() -> None:
    """Only a payment's creation exists in this API."""
    fetch = gateway.FetchPayment(
        payment_id="pay_1", merchant_reference="SO-1", provider_reference=None, money=create().money, at=NOW
    )
    with pytest.raises(TypeError, match="FetchPayment"):
        PSP.build(fetch, account())


def test_requests_use_the_new_generation_only() -> None:
    """What we send never carries the previous token."""
    now = account(merchant_id=None, token=None, generation=2, previous=True)
    secret = now.derive("psp.token")
    assert secret is not None
    assert ("crm-pay-token", secret.reveal()) in PSP.build(create(), now).headers
