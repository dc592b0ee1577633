"""gateway_psp_open_api.callback: which callbacks are believed, what they report, how they are answered."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import gateway_psp_open_api as plugin
import msgspec
import pytest
from gateway_psp_open_api.callback import REFUSALS
from gateway_psp_open_api.config import PspConfig
from gateway_psp_open_api.signature import Form, canonical, sign

import gateway
from gateway import JsonNumber, Reason, Stage
from tests.support.factories.psp import MERCHANT, TOKEN, TOLD, VECTORS, account, callback, create, signed

PSP = plugin.PspOpenApi()
OTHER = gateway.Secret("another token")


def reply(body: bytes, status: int = 200, media_type: str = "application/json") -> gateway.HttpResponse:
    return gateway.HttpResponse(status=status, headers=(("content-type", media_type),), body=body)


def read(body: bytes, status: int = 200, **settings: Any) -> gateway.Observation | gateway.Declined:
    return PSP.parse(create(), reply(body, status), account(**settings))


def refusal(call: gateway.Callback, **settings: Any) -> Reason:
    """Why a callback is refused."""
    with pytest.raises(gateway.CallbackRejected) as caught:
        PSP.verify(call, account(**settings))
    assert TOKEN.reveal() not in caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("case", VECTORS["verify_cases"], ids=lambda case: case["name"])
def test_published_verify_cases(case: dict[str, Any]) -> None:
    """Header, body rules and sign together give the published verdict."""
    call = callback(case["body"].encode(), header=case["header_token"])
    settings = {"token": gateway.Secret(case["token"])}
    if case["expect"] == "accept":
        assert PSP.verify(call, account(**settings)).problem is None
    else:
        answer = PSP.answer(gateway.Refused(reason=refusal(call, **settings)), call)
        assert gateway.loads(answer.body)["type"] == case["error_type"]


def test_every_single_byte_counts() -> None:
    """With any bit of any byte changed, the callback is refused or reports the same."""
    body = signed(note=None, remark="Smith & Co")
    original = meaning(body)
    survivors = set()
    for position in range(len(body)):
        for bit in range(8):
            changed = body[:position] + bytes([body[position] ^ 1 << bit]) + body[position + 1 :]
            try:
                PSP.verify(callback(changed), account())
            except gateway.CallbackRejected:
                continue
            assert meaning(changed) == original
            survivors.add(position)
    assert survivors  # the case of the sign's letters is free, and so is the name of an empty member


def meaning(body: bytes) -> dict[str, Any]:
    members = gateway.loads(body)
    return {key: value for key, value in members.items() if key != "sign" and value not in (None, "", [], {})}


def test_a_callback_is_read_as_facts() -> None:
    """Every member arrives where the core looks for it."""
    event = PSP.verify(callback(), account())
    assert event.observation == gateway.Observation(
        stage=Stage.CAPTURED,
        payment_id="pay_1",
        provider_reference="T-1",
        currency="USD",
        amount=Decimal("432.98"),
        raw_status="1",
    )
    assert event.occurred_at == datetime(2021, 9, 15, 9, 0, 19, 516000, tzinfo=UTC)
    assert event.problem is None


@pytest.mark.parametrize(
    ("literal", "stage"),
    [("0", Stage.FAILED), ("1", Stage.CAPTURED), ("2", Stage.PROCESSING), ("1.0", Stage.CAPTURED)],
)
def test_each_status_has_its_stage(literal: str, stage: Stage) -> None:
    """0 is fail, 1 success, 2 processing; 1.0 is the same number."""
    event = PSP.verify(callback(signed(status=JsonNumber(literal))), account())
    assert (event.observation.stage, event.problem) == (stage, None)


@pytest.mark.parametrize("status", [JsonNumber("3"), JsonNumber("-1"), JsonNumber("1.5"), "1", "success", True, None])
def test_another_status_moves_no_money(status: object) -> None:
    """A status that is not the number 0, 1 or 2 is a problem and no stage."""
    event = PSP.verify(callback(signed(status=status)), account())
    assert (event.observation.stage, event.problem) == (Stage.UNKNOWN, Reason.STATUS)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"currency": None}, Reason.CURRENCY),
        ({"currency": JsonNumber("840")}, Reason.CURRENCY),
        ({"currency": "U$D"}, Reason.CURRENCY),
        ({"currency": "ſſ"}, Reason.CURRENCY),
        ({"amount": None}, Reason.AMOUNT),
        ({"amount": True}, Reason.AMOUNT),
        ({"amount": JsonNumber("0")}, Reason.AMOUNT),
        ({"amount": JsonNumber("-432.98")}, Reason.AMOUNT),
        ({"amount": JsonNumber("1e300")}, Reason.AMOUNT),
        ({"amount": "432,98"}, Reason.AMOUNT),
        ({"amount": "４32.98"}, Reason.AMOUNT),
        ({"amount": "NaN"}, Reason.AMOUNT),
        ({"amount": "-1"}, Reason.AMOUNT),
        ({"time": None}, Reason.TIME),
        ({"time": "1631696419516"}, Reason.TIME),
        ({"time": JsonNumber("1631696419")}, Reason.TIME),
        ({"time": JsonNumber("1631696419516000")}, Reason.TIME),
        ({"time": JsonNumber("1631696419516.5")}, Reason.TIME),
        ({"time": JsonNumber("1e30")}, Reason.TIME),
        ({"time": JsonNumber("-1631696419516")}, Reason.TIME),
        ({"currency": None, "amount": None, "time": None}, Reason.CURRENCY),
        ({"status": None, "currency": None}, Reason.STATUS),
        ({"amount": None, "time": None}, Reason.AMOUNT),
    ],
)
def test_the_first_unreadable_member_is_the_problem(changes: dict[str, Any], problem: Reason) -> None:
    """What cannot be read is named in the order status, currency, amount, time; the rest is still reported."""
    event = PSP.verify(callback(signed(**changes)), account())
    assert event.problem is problem
    assert event.observation.payment_id == "pay_1"


@pytest.mark.parametrize("name", ["status", "currency", "amount", "time"])
def test_a_missing_member_is_its_problem(name: str) -> None:
    """Leaving a mandatory member out is no different from one that cannot be read."""
    event = PSP.verify(callback(signed(without=name)), account())
    assert event.problem is Reason(name)


@pytest.mark.parametrize("order_no", [None, "", "7" * 1025, JsonNumber("7"), True])
def test_a_callback_without_order_number_names_no_payment(order_no: object) -> None:
    """The core answers that there is no such payment."""
    assert PSP.verify(callback(signed(order_no=order_no)), account()).observation.payment_id is None


def test_currency_is_read_without_regard_to_case() -> None:
    """usd is USD."""
    assert PSP.verify(callback(signed(currency="usd")), account()).observation.currency == "USD"


def test_amount_may_be_text() -> None:
    """A decimal text is signed as it stands and compared as a decimal."""
    assert PSP.verify(callback(signed(amount="432.980")), account()).observation.amount == Decimal("432.98")


def test_time_may_have_a_decimal_point() -> None:
    """A whole number of milliseconds is whole however it is spelt."""
    event = PSP.verify(callback(signed(time=JsonNumber("1631696419516.0"))), account())
    assert event.occurred_at == datetime(2021, 9, 15, 9, 0, 19, 516000, tzinfo=UTC)


def body_signed_as(form: Form, literal: str) -> bytes:
    body = {**TOLD, "amount": JsonNumber(literal)}
    return gateway.dumps({**body, "sign": sign(canonical(body, form=form), TOKEN)})


@pytest.mark.parametrize(("form", "booked"), [(Form.CANONICAL, "162.48"), (Form.LITERAL, "162.480000000000000001")])
def test_only_proved_digits_are_booked(form: Form, booked: str) -> None:
    """Digits that the sign does not cover are not part of the amount."""
    event = PSP.verify(callback(body_signed_as(form, "162.480000000000000001")), account())
    assert event.observation.amount == Decimal(booked)


@pytest.mark.parametrize("literal", ["1e-99999999999999999999", "1e-999999999"])
def test_a_number_too_small_for_anything_is_no_amount(literal: str) -> None:
    """An exponent beyond every currency is a problem of the amount, not an error of ours."""
    assert PSP.verify(callback(body_signed_as(Form.LITERAL, literal)), account()).problem is Reason.AMOUNT


@pytest.mark.parametrize("transaction_id", [None, "", True])
def test_transaction_id_may_be_absent(transaction_id: object) -> None:
    """Without one the provider's reference stays unknown."""
    event = PSP.verify(callback(signed(transaction_id=transaction_id)), account())
    assert event.observation.provider_reference is None


def test_a_numeric_transaction_id_is_kept_as_text() -> None:
    """A sender that forgets the quotes still names its transaction."""
    event = PSP.verify(callback(signed(transaction_id=JsonNumber("98765434567876"))), account())
    assert event.observation.provider_reference == "98765434567876"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "GET"}, Reason.METHOD),
        ({"method": "PUT"}, Reason.METHOD),
        ({"headers": ()}, Reason.MEDIA_TYPE),
        ({"headers": (("Content-Type", "text/plain"), ("crm-pay-token", TOKEN.reveal()))}, Reason.MEDIA_TYPE),
        ({"suffix": "complete"}, Reason.UNAUTHENTIC),
        ({"suffix": "pay/callback/x"}, Reason.UNAUTHENTIC),
    ],
)
def test_what_is_refused_before_the_token(changes: dict[str, Any], reason: Reason) -> None:
    """Method, media type and path come first."""
    assert refusal(callback(**changes)) is reason


@pytest.mark.parametrize("suffix", ["", "pay/callback", "/pay/callback", "pay/callback/"])
def test_the_endpoint_and_its_callback_path_are_served(suffix: str) -> None:
    """Whether the shown address is the base or the whole address is unclear, so both work."""
    assert PSP.verify(callback(suffix=suffix), account()).problem is None


@pytest.mark.parametrize("header", ["", "wrong", TOKEN.reveal().upper(), TOKEN.reveal() + " ", "\udcff\ud800"])
def test_another_token_is_refused(header: str) -> None:
    """The token is compared byte by byte; bytes that are no text are no error."""
    assert refusal(callback(header=header)) is Reason.UNAUTHENTIC


def test_two_token_headers_are_refused() -> None:
    """Even two right ones are not exactly one."""
    call = callback()
    assert refusal(callback(headers=(*call.headers, ("CRM-PAY-TOKEN", TOKEN.reveal())))) is Reason.UNAUTHENTIC


def test_a_non_ascii_token_works() -> None:
    """Token bytes are UTF-8."""
    token = gateway.Secret("tökén-密钥")
    assert PSP.verify(callback(signed(token), header=token.reveal()), account(token=token)).problem is None


def test_the_previous_token_is_accepted() -> None:
    """While tokens are exchanged, both are believed."""
    call = callback(signed(OTHER), header=OTHER.reveal())
    assert PSP.verify(call, account(previous_token=OTHER)).problem is None


def test_header_and_sign_must_use_the_same_token() -> None:
    """A header of one token with a sign of the other is refused."""
    call = callback(signed(OTHER), header=TOKEN.reveal())
    assert refusal(call, previous_token=OTHER) is Reason.UNAUTHENTIC


def previous_generation() -> gateway.Callback:
    old = PSP.credentials(account(merchant_id=None, token=None, generation=1))
    token = old["token"]
    assert isinstance(token, gateway.Secret)
    return callback(signed(token, merchant_id=old["merchant_id"]), header=token.reveal())


def test_the_previous_generation_is_accepted_while_it_may() -> None:
    """Derived credentials of the generation before verify while accept_previous is on."""
    now = account(merchant_id=None, token=None, generation=2, previous=True)
    assert PSP.verify(previous_generation(), now).problem is None


def test_the_previous_generation_ends() -> None:
    """Without accept_previous the old token is wrong."""
    assert refusal(previous_generation(), merchant_id=None, token=None, generation=2) is Reason.UNAUTHENTIC


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud83d"}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a=":1}',
        b'{"a":[1]}',
        b"[" * 5000,
    ],
)
def test_bodies_that_readers_disagree_about_are_unauthentic(body: bytes) -> None:
    """Shape comes before the sign, and the sender learns no more than that it is not believed."""
    assert refusal(callback(body)) is Reason.UNAUTHENTIC


def test_an_ambiguous_text_is_refused_although_its_sign_is_right() -> None:
    """Members folded into one value sign alike, so they are not believed."""
    assert refusal(callback(signed(note="x&status=1"))) is Reason.UNAUTHENTIC


@pytest.mark.parametrize("merchant_id", [None, "", "someone-else", JsonNumber("1"), MERCHANT.upper()])
def test_another_merchant_id_is_the_wrong_account(merchant_id: object) -> None:
    """A proved body for another integration is not ours."""
    assert refusal(callback(signed(merchant_id=merchant_id))) is Reason.WRONG_ACCOUNT


def test_the_sign_is_checked_before_the_merchant_id() -> None:
    """Without a right sign nothing is said about the account."""
    body = signed(OTHER, merchant_id="someone-else")
    assert refusal(callback(body)) is Reason.UNAUTHENTIC


def test_a_stranger_is_refused_before_the_token_is_read() -> None:
    """The source address counts although token and sign are right."""
    assert refusal(callback(remote="203.0.113.1"), source_addresses=("192.0.2.0/24",)) is Reason.UNAUTHENTIC


def test_unfiltered_empties_need_the_switch() -> None:
    """A sender that signs empties is believed only where the account says so."""
    body = {**TOLD, "user_id": ""}
    unfiltered = gateway.dumps({**body, "sign": sign(canonical(body, form=Form.UNFILTERED), TOKEN)})
    assert refusal(callback(unfiltered)) is Reason.UNAUTHENTIC
    assert PSP.verify(callback(unfiltered), account(accept_unfiltered_empties=True)).problem is None


def event_id(**changes: Any) -> str:
    return PSP.verify(callback(signed(**changes)), account()).event_id


@pytest.mark.parametrize(
    "changes",
    [
        {"time": JsonNumber("1631696419999")},
        {"amount": JsonNumber("432.980")},
        {"amount": "432.98"},
        {"amount": "432.980"},
        {"currency": "usd"},
        {"status": JsonNumber("1.0")},
        {"user_id": "u1"},
    ],
)
def test_an_honest_repeat_has_the_same_event_id(changes: dict[str, Any]) -> None:
    """Senders make time and sign anew and may spell numbers apart; it stays the same event."""
    assert event_id(**changes) == event_id()


@pytest.mark.parametrize(
    "changes",
    [
        {"order_no": "pay_2"},
        {"transaction_id": "T-2"},
        {"transaction_id": None},
        {"status": JsonNumber("0")},
        {"amount": JsonNumber("432.99")},
        {"currency": "EUR"},
    ],
)
def test_another_fact_is_another_event(changes: dict[str, Any]) -> None:
    """What moves a payment is part of the event's identity."""
    assert event_id(**changes) != event_id()


@pytest.mark.parametrize("verdict", [gateway.Recorded(), gateway.Repeated(), gateway.Repeated(is_final=True)], ids=repr)
def test_success_is_204_without_body(verdict: gateway.Verdict) -> None:
    """What is durable is answered with nothing but the status."""
    assert PSP.answer(verdict, callback(config=account().config)) == gateway.HttpResponse(status=204)


WORDS = [
    (Reason.UNAUTHENTIC, "psp_token_invalid", 401),
    (Reason.WRONG_ACCOUNT, "psp_setting_not_found", 404),
    (Reason.NO_DEPOSIT_METHOD, "deposit_method_not_found", 404),
    (Reason.NOT_FOUND, "payment_not_found", 404),
    (Reason.REPEATED_FINAL, "payment_status_not_pending", 409),
    (Reason.IN_PROGRESS, "payment_request_exists", 409),
    (Reason.STATUS, "payment_status_not_allowed", 422),
    (Reason.TIME, "payment_status_not_allowed", 422),
    (Reason.AMOUNT, "payment_amount_not_allowed", 422),
    (Reason.CURRENCY, "payment_currency_not_allowed", 422),
]

OURS = [
    (Reason.METHOD, "method_not_allowed", 405),
    (Reason.TOO_LARGE, "body_too_large", 413),
    (Reason.MEDIA_TYPE, "unsupported_media_type", 415),
]


def answered(verdict: gateway.Verdict, config: PspConfig | None = None) -> tuple[int, dict[str, Any]]:
    answer = PSP.answer(verdict, callback(config=config))
    assert gateway.media_type(answer.headers) == "application/json"
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.parametrize(("reason", "type_", "fitting"), WORDS)
def test_documented_errors_are_400(reason: Reason, type_: str, fitting: int) -> None:
    """All nine documented types go with 400, also when the account is not known."""
    assert answered(gateway.Refused(reason=reason)) == (400, {"error": True, "code": 400, "type": type_})


@pytest.mark.parametrize(("reason", "type_", "fitting"), WORDS)
def test_documented_errors_may_have_the_fitting_status(reason: Reason, type_: str, fitting: int) -> None:
    """With error_status semantic, status and code fit the error."""
    answer = answered(gateway.Refused(reason=reason), account(error_status="semantic").config)
    assert answer == (fitting, {"error": True, "code": fitting, "type": type_})


@pytest.mark.parametrize(("reason", "type_", "status"), OURS)
@pytest.mark.parametrize("error_status", ["400", "semantic"])
def test_our_own_errors_have_their_own_status(reason: Reason, type_: str, status: int, error_status: str) -> None:
    """What the protocol does not name keeps its HTTP status under every setting of the account."""
    answer = answered(gateway.Refused(reason=reason), account(error_status=error_status).config)
    assert answer == (status, {"error": True, "code": status, "type": type_})


def test_every_reason_has_words() -> None:
    """No refusal of the core is left without an answer."""
    assert set(REFUSALS) == set(Reason) == {reason for reason, _, _ in WORDS + OURS}


def test_a_wrong_method_is_answered_with_the_right_one() -> None:
    """405 names POST."""
    answer = PSP.answer(gateway.Refused(reason=Reason.METHOD), callback())
    assert gateway.header(answer.headers, "allow") == ["POST"]


@pytest.mark.parametrize(
    ("limited", "status", "type_"), [(True, 429, "rate_limited"), (False, 503, "temporarily_unavailable")]
)
def test_busy_is_an_error_that_asks_for_another_try(limited: bool, status: int, type_: str) -> None:
    """Nothing durable, no success: the sender learns when to try again."""
    verdict = gateway.Busy(limited=limited, retry_after=7)
    assert answered(verdict) == (status, {"error": True, "code": status, "type": type_})
    assert gateway.header(PSP.answer(verdict, callback()).headers, "retry-after") == ["7"]


@pytest.mark.parametrize(("is_final", "status"), [(True, 400), (False, 204)])
def test_strict_duplicates_refuse_repeats_of_what_is_final(is_final: bool, status: int) -> None:
    """With strict_duplicates a repeat for a finished payment is answered as the real CRM does."""
    config = account(strict_duplicates=True).config
    assert PSP.answer(gateway.Repeated(is_final=is_final), callback(config=config)).status == status
