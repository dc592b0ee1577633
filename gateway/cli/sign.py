"""``gateway callback sign``: make a valid callback of an account, and its curl command, to test an integration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import click

from gateway.cli.loading import Configuration, callback_url, config_option, json_option, load, reading
from gateway.cli.output import print_json
from gateway.core.curl import curl_command
from gateway.core.errors import Unavailable
from gateway.core.facts import Stage
from gateway.core.money import Amount, Money, currency_digits
from gateway.core.wire import HttpRequest
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import AccountEntry, Settings
from gateway.drivers.store.reads import ListedPayment
from gateway.flows.plugin import calls
from gateway.provider import CallbackDraft, Signs

STATUSES: Mapping[str, Stage] = {
    "succeeded": Stage.CAPTURED,
    "failed": Stage.FAILED,
    "processing": Stage.PROCESSING,
}


@click.command("sign")
@click.argument("account")
@click.option("--order", "payment_id", required=True, help="The payment, pay_….")
@click.option("--amount", help="In major units, such as 25.50. Default: the payment's amount.")
@click.option("--currency", help="Default: the payment's currency.")
@click.option("--status", type=click.Choice([*STATUSES]), default="succeeded", show_default=True, help="The outcome.")
@click.option("--transaction", help="The provider's own id of the payment.")
@click.option("--tenant", help="The tenant, where several have an account of this name.")
@click.option("--url", help="The account's callback URL, where only the running server knows it.")
@click.option("--reveal", is_flag=True, help="Print it outside development too: it holds the account's secret.")
@config_option
@json_option
def sign_callback(
    account: str,
    payment_id: str,
    amount: str | None,
    currency: str | None,
    status: str,
    transaction: str | None,
    tenant: str | None,
    url: str | None,
    reveal: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Sign a callback to ACCOUNT as its provider would, and print it with its curl command.

    Nothing is sent. The output contains the account's secret, so it needs development mode or --reveal.
    """
    loaded = load(config)
    entry = _entry(loaded, tenant, account, payment_id)
    _refuse_secret(loaded.settings, reveal)
    draft = CallbackDraft(
        payment_id=payment_id,
        money=_money(loaded.settings, entry, payment_id, amount, currency),
        stage=STATUSES[status],
        at=SystemClock().now(),
        provider_reference=transaction,
    )
    for doubt in _doubts(loaded.settings, entry, draft):
        click.echo(f"warning: {doubt}", err=True)
    made = calls.sign_callback(loaded.settings, entry, draft, url or _address(loaded.settings, entry))
    _print(made, as_json)


def _entry(loaded: Configuration, tenant: str | None, account: str, payment_id: str) -> AccountEntry:
    """The account that was named and can sign callbacks. Raises click's usage error, or that it has none.

    Of several tenants with one of this name it is that of the payment's.
    """
    found = [one for one in loaded.entries if one.name == account and tenant in (None, one.tenant)]
    if len(found) > 1:
        theirs = [one for one in found if _is_theirs(loaded.settings, one, payment_id)]
        found = theirs if len(theirs) == 1 else found
    if len(found) > 1:
        owners = ", ".join(one.tenant for one in found)
        raise click.UsageError(f'several tenants have an account "{account}": name one by --tenant ({owners})')
    if not found:
        known = ", ".join(f"{one.tenant}/{one.name}" for one in loaded.entries)
        raise click.BadParameter(f'there is no account "{account}"; known are {known}', param_hint="ACCOUNT")
    if not isinstance(found[0].provider, Signs):
        name = found[0].provider.name
        raise click.ClickException(f"callbacks of {name} are not signed, so none can be made")
    return found[0]


def _refuse_secret(settings: Settings, reveal: bool) -> None:
    if not (settings.server.development or reveal):
        raise click.UsageError("a signed callback contains the account's secret: outside development pass --reveal")


def _money(settings: Settings, entry: AccountEntry, payment_id: str, amount: str | None, currency: str | None) -> Money:
    """What the callback names: as given, else as the payment has it."""
    if amount is None or currency is None:
        known = _listed(settings, entry, payment_id)
        if known is None:
            raise click.UsageError(f"{entry.tenant} has no payment {payment_id}: give --amount and --currency")
        money = known.payment.money
        amount, currency = amount or money.text(), currency or money.currency
    digits = currency_digits(currency.upper(), settings.currencies)
    try:
        given = Decimal(Amount.read(amount))
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--amount") from None
    # More decimals than the currency has are the caller's to try: the gateway refuses them.
    return Money(given, currency, digits or 0)


def _doubts(settings: Settings, entry: AccountEntry, draft: CallbackDraft) -> Iterator[str]:
    """Why the gateway will refuse the callback, as far as this can be known here."""
    currency = draft.money.currency.upper()
    digits = currency_digits(currency, settings.currencies)
    if digits is None:
        yield f"{currency} is not a known currency: the gateway will refuse the callback"
    elif -int(draft.money.amount.normalize().as_tuple().exponent) > digits:
        yield f"{currency} has {digits} decimals, {draft.money.amount} has more: the gateway will refuse the callback"
    try:
        known = _listed(settings, entry, draft.payment_id)
    except Unavailable:  # no store: nothing can be said of the payment
        return
    if known is None:
        yield f"{entry.tenant} has no payment {draft.payment_id}: the gateway will refuse the callback"
    elif known.payment.account != entry.name:
        yield f'the payment belongs to account "{known.payment.account}": the gateway will refuse the callback'
    elif (currency, draft.money.amount) != (known.payment.money.currency, known.payment.money.amount):
        yield f"the payment's amount is {known.payment.money.text()} {known.payment.money.currency}"


def _listed(settings: Settings, entry: AccountEntry, payment_id: str) -> ListedPayment | None:
    """The payment, if it is one of the account's tenant. Raises ``Unavailable`` where there is no store."""

    async def read() -> ListedPayment | None:
        async with reading(settings) as store:
            return await store.summary(entry.tenant, payment_id)

    return asyncio.run(read())


def _is_theirs(settings: Settings, entry: AccountEntry, payment_id: str) -> bool:
    try:
        return _listed(settings, entry, payment_id) is not None
    except Unavailable:
        return False


def _address(settings: Settings, entry: AccountEntry) -> str:
    found = callback_url(settings, entry)
    if found is None:
        raise click.UsageError("only the running server knows the callback URL: pass it as --url")
    return found


def _print(made: HttpRequest, as_json: bool) -> None:
    body, line = made.body.decode(), curl_command(made)
    if as_json:
        print_json({"method": made.method, "url": made.url, "headers": dict(made.headers), "body": body, "curl": line})
        return
    click.echo(f"{body}\n\n{line}")
