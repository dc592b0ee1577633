"""What a start says of its store: whether it was last used with this ``server.secret``."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import SettingsError
from gateway.flows.background.startup import USED_WITH_ANOTHER
from tests.support.stack import psp_body, run_gateway, running_stack

FIRST, SECOND = "the first secret of this store, long enough", "another secret of this store, long enough"


async def starts_with_warning(folder: Path, caplog: pytest.LogCaptureFixture, secret: str) -> bool:
    """Start and stop on the store of this folder; whether the secret is said to be another one."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["secret"] = secret

    caplog.clear()
    async with running_stack(folder, change=change):
        return USED_WITH_ANOTHER in caplog.messages


async def test_another_secret_on_the_same_store_is_said_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each change, back too; a new store and the same secret say nothing."""
    secrets = (FIRST, FIRST, SECOND, SECOND, FIRST)
    said = [await starts_with_warning(tmp_path, caplog, secret) for secret in secrets]
    assert said == [False, False, True, False, True]


async def test_a_store_from_before_and_the_secret_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store without a fingerprint gets one without a word; what is kept shows nothing of the secret."""
    async with running_stack(tmp_path) as stack:
        store, secret = stack.settings.store_path, stack.settings.server.secret.reveal()
    with sqlite3.connect(store) as connection:
        [[kept]] = connection.execute("SELECT name FROM moments").fetchall()
        connection.execute("DELETE FROM moments")
    assert secret not in kept
    assert len(kept) == len("used with secret ") + 43
    assert not await starts_with_warning(tmp_path, caplog, SECOND)


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
