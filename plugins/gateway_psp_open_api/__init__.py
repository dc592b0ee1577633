"""PSP Open API v3.0-2024.10.04, the CRM's seat: API-1 asks for a payment page, API-2 tells how the payment ended.

Source: the published API description; where it is silent, ``docs/providers/psp_open_api.md`` says what was decided and
why. There is no query, refund or payout: only API-2 moves money. Nothing deeper than ``gateway`` is imported, and
no web framework: the simulator is loaded inside its hook.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

import gateway
from gateway_psp_open_api import answers, api2, sending, signature, user_id
from gateway_psp_open_api.account import JSON, TOKEN_HEADER, PspConfig, merchant_ids, tokens
from gateway_psp_open_api.explain import explain

SUCCESS = range(200, 300)
"""The description promises 200; bridges answer 201 as well, for a page they made."""

LONGEST_MESSAGE = 500
"""Characters of a refusal's message that are kept."""

LONGEST_SHOWN = 12
"""Characters of what stands in place of a boolean that are shown."""

DECLINING = frozenset({400, 401, 403, 404, 422})

FIELDS: Mapping[str, gateway.FieldRule] = {
    "merchant_id": gateway.FieldRule(mandatory=True, locked=True, meaning="id of the integration"),
    "order_no": gateway.FieldRule(mandatory=True, locked=True, meaning="our payment id"),
    "amount": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="major units"),
    "currency": gateway.FieldRule(mandatory=True, locked=True, meaning="code such as USD"),
    "sign": gateway.FieldRule(mandatory=True, locked=True, meaning="signature over all other members"),
    "user_id": gateway.FieldRule(source="customer.id", meaning="the customer's id"),
    "user_name": gateway.FieldRule(source="customer.name", meaning="the customer's name"),
    "email": gateway.FieldRule(source="customer.email", meaning="e-mail address"),
    "phone": gateway.FieldRule(source="customer.phone", meaning="telephone number"),
    "nationality": gateway.FieldRule(source="customer.nationality", meaning="two-letter country code"),
    "language": gateway.FieldRule(source="customer.language", meaning="portal language such as en-us"),
    "device": gateway.FieldRule(source="customer.device", meaning="mobile or pc"),
}


class PspOpenApi:
    """The adapter. ``order_no`` is the payment id, always."""

    name = "psp_open_api"
    account_type: type[msgspec.Struct] = PspConfig
    commands: frozenset[type[gateway.Command]] = frozenset({gateway.CreatePayment})
    fields: Mapping[str, gateway.FieldRule] = FIELDS
    secret_headers = frozenset({TOKEN_HEADER})

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Every currency; the amount must fit the account's rule; silence ends in a soft expiry."""
        config: PspConfig = account.config
        return gateway.Rules(
            amount=config.amounts(),
            time_window=(config.time_window, config.time_window),
            expires_after=config.expires_after,
            deposit_method_required=True,
        )

    def advice(self, account: gateway.Account) -> Mapping[str, str]:
        """Warn of an account whose payments may lack the customer's id: a bridge is known that refuses those."""
        return user_id.advice(account.fields)

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """What the tenant's bridge must be told besides the callback address."""
        return {"merchant_id": merchant_ids(account)[0], "token": tokens(account)[0]}

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Write API-1. Raises ``FieldProblem`` for an amount or a text the protocol cannot carry."""
        if not isinstance(command, gateway.CreatePayment):
            raise TypeError(f"psp_open_api cannot do {type(command).__name__}")
        config: PspConfig = account.config
        token = tokens(account)[0]
        key = account.fields.key
        body: dict[str, Any] = {member.key: member.value for member in _unambiguous(account.fields, command)}
        body[key("merchant_id")] = merchant_ids(account)[0]
        body[key("order_no")] = command.payment_id
        body[key("amount")] = _wire_amount(command.money, as_text=config.amount_as_text)
        body[key("currency")] = command.money.currency
        body[key("sign")] = signature.sign(signature.canonical(body, sign_key=key("sign")), token)
        return gateway.HttpRequest(
            method="POST",
            url=f"{config.app_url.rstrip('/')}/pay/url",
            headers=(JSON, (TOKEN_HEADER, token.reveal())),
            body=gateway.dumps(body),
        )

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined:
        """Read API-1's answer ``{data: {url}, result, msg}``. Raises ``OutcomeUnknown`` for anything else."""
        config: PspConfig = account.config
        answer = _envelope(response)
        match response.status, answer["result"]:
            case status, True if status in SUCCESS:
                return gateway.Observation(
                    stage=gateway.Stage.AWAITING_CUSTOMER,
                    payment_id=command.payment_id,
                    redirect_url=_redirect_url(answer, config),
                )
            case 200, False:
                return _declined("result_false", command, answer, account)
            case status, False if status in DECLINING:
                return _declined(str(status), command, answer, account)
            case _:
                raise gateway.OutcomeUnknown("status and result of the answer contradict each other")

    def unusual(self, response: gateway.HttpResponse) -> tuple[str, ...]:
        """Name what bridges do otherwise than the description: the status, the media type, a byte order mark."""
        status = (f"status {response.status}",) if response.status in SUCCESS and response.status != 200 else ()
        return (*status, *gateway.unusual(response))

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
        """Prove API-2 and read it. Raises ``CallbackRejected``; a sender without token and sign learns nothing more."""
        try:
            proved = api2.prove(callback, account)
        except gateway.CallbackRejected as rejected:
            rejected.claims = api2.claimed(callback.body)
            raise
        return api2.read(proved, account)

    def explain(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
        """Say for operators how ``verify`` proves a callback, check by check."""
        return explain(callback, account)

    def sign_callback(self, draft: gateway.CallbackDraft, account: gateway.Account, url: str) -> gateway.HttpRequest:
        """Write API-2 as a bridge would."""
        return sending.callback(draft, account, url)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        """Word a verdict: 204 without body, or ``{"error": true, "code": HTTP status, "type": …}``."""
        return answers.answer(verdict, callback.config if isinstance(callback.config, PspConfig) else None)


def _unambiguous(fields: gateway.FieldMap, command: gateway.CreatePayment) -> list[gateway.Member]:
    """The tenant's members. Raises ``FieldProblem`` for texts that would sign like several members (S21)."""
    members = gateway.fill(fields, command)
    problems = [_path(member.field) for member in members if signature.ambiguous(member.value)]
    if problems:
        raise gateway.FieldProblem(
            [(path, 'must not hold "&name=": it would be read as a member') for path in problems]
        )
    return members


def _path(field: gateway.Field) -> str:
    return f"$.{field.source}" if field.source else f"$.fields.{field.name}"


def _wire_amount(money: gateway.Money, *, as_text: bool) -> gateway.JsonNumber | str:
    """The amount as the JSON number that every reader prints alike (S3); beyond that range as text, if allowed."""
    digits = money.shortest().replace(".", "").strip("0")
    if Decimal("0.0001") <= money.amount < Decimal("1e16") and len(digits) <= 15:
        return gateway.JsonNumber(money.shortest())
    if as_text and money.amount > 0:
        return money.shortest()
    raise gateway.FieldProblem([("$.amount", "must be 0.0001 to below 1e16 with at most 15 significant digits")])


def _envelope(response: gateway.HttpResponse) -> dict[str, Any]:
    """The answer with a boolean ``result``, as JSON under whatever media type. Raises ``OutcomeUnknown``."""
    try:
        answer = gateway.json_of(response)
    except gateway.NotStrictJson as problem:
        raise gateway.OutcomeUnknown(f"the answer is not readable: {problem}") from None
    if not isinstance(answer, dict):
        raise gateway.OutcomeUnknown("the answer is JSON, but no object with a boolean result")
    if not isinstance(answer.get("result"), bool):
        raise gateway.OutcomeUnknown(f"the answer has no boolean result: {_not_boolean(answer)}")
    return answer


def _not_boolean(answer: Mapping[str, Any]) -> str:
    """What stands in place of ``result``, as far as it is a plain word or number."""
    match answer.get("result"):
        case None:
            return "it is null" if "result" in answer else "it is absent"
        case gateway.JsonNumber() as number if len(number.text) <= LONGEST_SHOWN:
            return f"it is the number {number.text}; send true or false"
        case str() as word if word.isascii() and word.isalnum() and len(word) <= LONGEST_SHOWN:
            return f'it is the text "{word}"; send true or false without quotes'
        case _:
            return "it is something else; send true or false"


def _redirect_url(answer: Mapping[str, Any], config: PspConfig) -> str:
    data = answer.get("data")
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str):
        at_top = "; it stands at the top: put it into data" if isinstance(answer.get("url"), str) else ""
        raise gateway.OutcomeUnknown(f"data.url is missing{at_top}")
    problem = config.page_problem(url)
    if problem is not None:
        raise gateway.OutcomeUnknown(f"data.url {problem}")
    return url


def _declined(
    code: str, command: gateway.Command, answer: Mapping[str, Any], account: gateway.Account
) -> gateway.Declined:
    """A refusal in the bridge's words, with a hint where they seem to speak of what the request lacked."""
    said = _message(answer, tokens(account))
    hint = user_id.hint(account.fields, command, said)
    return gateway.Declined(code=code, message=said[: LONGEST_MESSAGE - len(hint)] + hint)


def _message(answer: Mapping[str, Any], secrets: Sequence[gateway.Secret]) -> str:
    """The ``msg`` of a refusal: no control characters, no token quoted back at us."""
    said = answer.get("msg")
    text = said if isinstance(said, str) else ""
    # Control characters go first: a token must not come together when they do.
    text = "".join(character for character in text if unicodedata.category(character) != "Cc")
    for secret in secrets:
        text = text.replace(secret.reveal(), "***")
    return text or "no reason given"


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the adapter."""
    return [PspOpenApi()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    """Offer the tenant's side for development."""
    from gateway_psp_open_api.simulator import psp_simulator  # loads a web server: only when one is wanted

    return [psp_simulator()]
