"""The account of Credit Key: its environments and addresses, and the settings that contradict each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from gateway_creditkey import CreditKey
from gateway_creditkey.config import CreditKeyConfig

import gateway
from tests.support.factories.creditkey import command, create, fetch, make_account

CK = CreditKey()
ACCOUNT = make_account()
CHANGING = (gateway.CompletePayment, gateway.CapturePayment, gateway.CancelPayment, gateway.UpdatePayment)


@pytest.mark.parametrize(
    ("environment", "base"),
    [("staging", "https://staging.creditkey.com/app"), ("production", "https://www.creditkey.com/app")],
)
def test_an_environment_names_its_address(environment: Any, base: str):
    """Each environment has its published address."""
    account = make_account(base_url=None, environment=environment)
    assert CK.build(command(gateway.CancelPayment), account).url == f"{base}/ecomm/cancel_order"


@pytest.mark.parametrize(
    "config",
    [
        {"environment": "staging"},
        {"base_url": None},
        {"base_url": "ck.example/app"},
        {"base_url": "ftp://ck.example"},
        {"base_url": "https://user@ck.example"},
        {"base_url": "https://ck.example?x=1"},
        {"base_url": "https://ck.example/app/ecomm/"},
        {"base_url": "https://[::1"},
        {"expires_after": timedelta(0)},
        {"deadline_warning": timedelta(days=30)},
    ],
)
def test_a_contradictory_account_is_refused(config: dict[str, Any]):
    """Settings that contradict themselves do not load."""
    with pytest.raises(ValueError, match=next(iter(config))):
        make_account(**config)


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("base", ["https://ck.example", "https://ck.example/app", "https://ck.example/a/b.c"])
@pytest.mark.parametrize("given", [create(), fetch(), *(command(kind) for kind in CHANGING)])
def test_a_base_may_end_with_a_slash(given: gateway.Command, base: str, slash: str):
    """Production's address has none and staging's has one: the path is the same, and no part of it is lost."""
    path = CK.build(given, make_account(base_url=base + slash)).url.partition("?")[0]
    assert path == CK.build(given, make_account(base_url=base)).url.partition("?")[0]
    assert path.rpartition("/")[0] == f"{base}/ecomm"


def test_unknown_settings_are_refused():
    """The account's settings are a closed list."""
    assert CreditKeyConfig.__struct_config__.forbid_unknown_fields
