"""What a start refuses: settings that lack what the payments of its store need."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.errors import SettingsError
from tests.support.stack import psp_body, run_gateway, running_stack


async def test_a_deposit_method_in_use_cannot_be_removed(tmp_path: Path) -> None:
    """A start without a deposit method that open payments name is refused, and the method named."""
    async with running_stack(tmp_path) as stack:
        assert (await stack.create(psp_body(account=None, deposit_method="bank"))).status == 201
        settings = stack.settings
    gone = settings.tenants["acme"].__class__(
        **{
            **{name: getattr(settings.tenants["acme"], name) for name in settings.tenants["acme"].__struct_fields__},
            "deposit_methods": {},
        }
    )
    stack.settings = settings.__class__(
        **{
            **{name: getattr(settings, name) for name in settings.__struct_fields__},
            "tenants": {**settings.tenants, "acme": gone},
        }
    )
    with pytest.raises(SettingsError, match=r"tenant acme: deposit_methods.bank: is gone"):
        async with run_gateway(stack):
            pass


async def test_an_account_cannot_change_its_provider_under_open_payments(tmp_path: Path) -> None:
    """A start with an account of another provider than its open payments have is refused, and the account named."""
    async with running_stack(tmp_path) as stack:
        assert (await stack.create(psp_body())).status == 201
    acme = stack.settings.tenants["acme"]
    swapped = {**acme.accounts, "psp-main": replace(acme.accounts["creditkey-main"], name="psp-main")}
    tenants = {**stack.settings.tenants, "acme": replace(acme, accounts=swapped)}
    stack.settings = replace(stack.settings, tenants=tenants)
    with pytest.raises(SettingsError, match=r'accounts.psp-main.provider: was "psp_open_api" for payments'):
        async with run_gateway(stack):
            pass
