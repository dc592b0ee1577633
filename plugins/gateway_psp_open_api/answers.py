"""How a callback is answered: 204 without a body, or the protocol's error with its type. Pure."""

from __future__ import annotations

import msgspec

import gateway
from gateway_psp_open_api.account import JSON, PspConfig


class Wording(msgspec.Struct, frozen=True):
    """How a refusal is said: ``type``, and the HTTP status that fits it. ``ours``: no documented type, fixed status."""

    type: str
    status: int
    ours: bool = False


REFUSALS = {
    gateway.Reason.METHOD: Wording("method_not_allowed", 405, ours=True),
    gateway.Reason.MEDIA_TYPE: Wording("unsupported_media_type", 415, ours=True),
    gateway.Reason.TOO_LARGE: Wording("body_too_large", 413, ours=True),
    gateway.Reason.UNAUTHENTIC: Wording("psp_token_invalid", 401),
    gateway.Reason.WRONG_ACCOUNT: Wording("psp_setting_not_found", 404),
    gateway.Reason.NO_DEPOSIT_METHOD: Wording("deposit_method_not_found", 404),
    gateway.Reason.NOT_FOUND: Wording("payment_not_found", 404),
    gateway.Reason.STATUS: Wording("payment_status_not_allowed", 422),
    gateway.Reason.REPEATED_FINAL: Wording("payment_status_not_pending", 409),
    gateway.Reason.IN_PROGRESS: Wording("payment_request_exists", 409),
    gateway.Reason.CURRENCY: Wording("payment_currency_not_allowed", 422),
    gateway.Reason.AMOUNT: Wording("payment_amount_not_allowed", 422),
    gateway.Reason.TIME: Wording("payment_status_not_allowed", 422),
}
BUSY = {
    True: Wording("rate_limited", 429, ours=True),
    False: Wording("temporarily_unavailable", 503, ours=True),
}
"""By whether the sender is over its rate limit."""


def answer(verdict: gateway.Verdict, config: PspConfig | None) -> gateway.HttpResponse:
    """Word a verdict. ``config`` is None when the account could not be found out."""
    match verdict:
        case gateway.Repeated(is_final=True) if config is not None and config.strict_duplicates:
            return _refusal(REFUSALS[gateway.Reason.REPEATED_FINAL], config)
        case gateway.Recorded() | gateway.Repeated():
            return gateway.HttpResponse(status=204)
        case gateway.Refused(reason=gateway.Reason.METHOD):
            return _refusal(REFUSALS[gateway.Reason.METHOD], config, ("Allow", "POST"))
        case gateway.Refused(reason=reason):
            return _refusal(REFUSALS[reason], config)
        case gateway.Busy(limited=limited, retry_after=seconds):
            return _refusal(BUSY[limited], config, ("Retry-After", str(seconds)))


def _refusal(wording: Wording, config: PspConfig | None, *extra: tuple[str, str]) -> gateway.HttpResponse:
    """The protocol's error body. ``code`` always equals the HTTP status: 400, or the fitting one if so configured."""
    is_fitting = wording.ours or (config is not None and config.error_status == "semantic")
    status = wording.status if is_fitting else 400
    body = gateway.dumps({"error": True, "code": status, "type": wording.type})
    return gateway.HttpResponse(status=status, headers=(JSON, *extra), body=body)
