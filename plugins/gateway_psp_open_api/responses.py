"""The response to API-1, ``{data: {url}, result, msg}``: a payment page, a refusal, or an unknown outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import gateway
from gateway_psp_open_api import diagnosis
from gateway_psp_open_api.config import PspConfig, prepared

SUCCESS = range(200, 300)  # the description promises 200; bridges answer 201 as well, for a page they made
DECLINING = frozenset({400, 401, 403, 404, 422})
LONGEST_MESSAGE = 500  # characters of a refusal's message that are kept


def read(
    command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
) -> gateway.Observation | gateway.Declined:
    """Return what the bridge answered. Raises ``OutcomeUnknown`` for everything but a clear yes or no."""
    answer = gateway.json_object(response)
    match response.status, answer.get("result"):
        case status, True if status in SUCCESS:
            url = _page(answer, account.config)
            stage = gateway.Stage.AWAITING_CUSTOMER
            return gateway.Observation(stage=stage, payment_id=command.payment_id, redirect_url=url)
        case 200, False:
            return _declined("result_false", command, answer, account)
        case status, False if status in DECLINING:
            return _declined(str(status), command, answer, account)
        case _, bool():
            raise gateway.OutcomeUnknown("status and result of the answer contradict each other")
        case _:
            raise gateway.OutcomeUnknown(f"the answer has no boolean result: {diagnosis.describe_result(answer)}")


def unusual(response: gateway.HttpResponse) -> tuple[str, ...]:
    """Name what a bridge does differently from the description: the status, the media type, a byte order mark."""
    status = (f"status {response.status}",) if response.status in SUCCESS and response.status != 200 else ()
    return (*status, *gateway.unusual(response))


def _page(answer: Mapping[str, Any], config: PspConfig) -> str:
    data = answer.get("data")
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str):
        at_top = "; it is at the top level: put it into data" if isinstance(answer.get("url"), str) else ""
        raise gateway.OutcomeUnknown(f"data.url is missing{at_top}")
    http: Literal["loopback", "refused"] = "loopback" if config.app_url.lower().startswith("http:") else "refused"
    problem = gateway.redirect_problem(url, hosts=config.allow_hosts, http=http)
    if problem is not None:
        raise gateway.OutcomeUnknown(f"data.url {problem}")
    return url


def _declined(
    code: str, command: gateway.Command, answer: Mapping[str, Any], account: gateway.Account
) -> gateway.Declined:
    """Return the refusal in the bridge's words, with a hint when they seem to name what the request lacked."""
    message = gateway.clean_message(answer.get("msg"), prepared(account).tokens, LONGEST_MESSAGE) or "no reason given"
    hint = diagnosis.hint_for(message, command, account.fields)
    return gateway.Declined(code=code, message=message[: LONGEST_MESSAGE - len(hint)] + hint)
