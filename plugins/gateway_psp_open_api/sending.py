"""API-2 as a bridge sends it, to try the gateway's side with: ``gateway callback sign``. Pure.

It signs with the functions that sign API-1; the simulator, which checks them, signs with code of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.account import JSON, TOKEN_HEADER, merchant_ids, tokens
from gateway_psp_open_api.api2 import STAGES

_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)


def callback(draft: gateway.CallbackDraft, account: gateway.Account, url: str) -> gateway.HttpRequest:
    """Make the request that reports what ``draft`` says; ``url`` is the account's callback address."""
    token = tokens(account)[0]
    members: dict[str, Any] = {
        "merchant_id": merchant_ids(account)[0],
        "order_no": draft.payment_id,
        "transaction_id": draft.provider_reference,
        "amount": gateway.JsonNumber(draft.money.shortest()),
        "currency": draft.money.currency,
        "time": gateway.JsonNumber(str((draft.at - _EPOCH) // _MILLISECOND)),
        "status": gateway.JsonNumber(next(str(status) for status, stage in STAGES.items() if stage is draft.stage)),
    }
    kept = {name: value for name, value in members.items() if value is not None}
    sign = signature.sign(signature.canonical(kept), token)
    return gateway.HttpRequest(
        method="POST",
        url=f"{url}/pay/callback",
        headers=(JSON, (TOKEN_HEADER, token.reveal())),
        body=gateway.dumps({**kept, "sign": sign}),
    )
