"""API-2 as a bridge sends it, for ``gateway callback sign``: to try the gateway's side of an account. Pure.

It signs with the functions that sign API-1; the simulator, which checks them, signs with code of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.callback import STAGES
from gateway_psp_open_api.config import prepared

_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)


def callback(draft: gateway.CallbackDraft, account: gateway.Account, url: str) -> gateway.HttpRequest:
    """Return the request that reports what ``draft`` says; ``url`` is the account's callback address."""
    ours = prepared(account)
    members: dict[str, Any] = {
        "merchant_id": ours.merchant_ids[0],
        "order_no": draft.payment_id,
        "transaction_id": draft.provider_reference,
        "amount": gateway.JsonNumber(draft.money.shortest()),
        "currency": draft.money.currency,
        "time": gateway.JsonNumber(str((draft.at - _EPOCH) // _MILLISECOND)),
        "status": gateway.JsonNumber(next(str(status) for status, stage in STAGES.items() if stage is draft.stage)),
    }
    present = {name: value for name, value in members.items() if value is not None}
    body = gateway.dumps({**present, "sign": signature.sign(signature.canonical(present), ours.tokens[0])})
    return gateway.HttpRequest(method="POST", url=f"{url}/pay/callback", headers=ours.headers, body=body)
