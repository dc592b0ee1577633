"""Explanations for operators, beside the adapter: what is wrong with a callback or an answer, and what to change.

The adapter decides by itself and calls these functions for the words alone. Each loads its module when it is called;
importing the adapter does not. ``explain`` is the largest: it makes the checks of ``callback.verify`` one by one and
searches for the mistake in a sender's signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gateway


def explain(callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
    """Return every check of a callback, what was signed, and the mistakes that were recognised."""
    from gateway_psp_open_api.diagnosis import explanation

    return explanation.explain(callback, account)


def describe(name: str, value: object) -> str:
    """Return what is wrong with the value of a member of API-2, and what belongs there."""
    from gateway_psp_open_api.diagnosis import unusable_values

    return unusable_values.describe(name, value)


def describe_result(answer: Mapping[str, Any]) -> str:
    """Return what is in an answer to API-1 in place of a boolean ``result``."""
    from gateway_psp_open_api.diagnosis import unusable_values

    return unusable_values.describe_result(answer)


def why_unproved(sign: object) -> str:
    """Return what is wrong with a ``sign`` that does not prove its body."""
    from gateway_psp_open_api.diagnosis import received_sign

    return received_sign.why_unproved(sign)


def advice(fields: gateway.FieldMap) -> Mapping[str, str]:
    """Return what to change in an account's ``fields``, by key."""
    from gateway_psp_open_api.diagnosis import missing_user_id

    return missing_user_id.advice(fields)


def hint_for(message: str, command: gateway.Command, fields: gateway.FieldMap) -> str:
    """Return what to add to a bridge's refusal when it seems to miss the customer's id."""
    from gateway_psp_open_api.diagnosis import missing_user_id

    return missing_user_id.hint_for(message, command, fields)


def sample_callback(draft: gateway.CallbackDraft, account: gateway.Account, url: str) -> gateway.HttpRequest:
    """Return a valid callback to try an account with, as a bridge would send it."""
    from gateway_psp_open_api.diagnosis import sample

    return sample.callback(draft, account, url)
