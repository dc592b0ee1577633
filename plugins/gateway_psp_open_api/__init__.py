"""PSP Open API v3.0-2024.10.04, the CRM's side: API-1 asks for a payment page, API-2 reports how the payment ended.

Source: the published API description; what it leaves open is decided in ``docs/providers/psp_open_api.md``. It has no
query, refund or payout: only API-2 moves money. ``requests`` and ``responses`` are API-1, ``callback`` is API-2.
"""

from __future__ import annotations

from collections.abc import Mapping

import gateway
from gateway_psp_open_api import callback as api2
from gateway_psp_open_api import diagnosis, requests, responses
from gateway_psp_open_api.config import TOKEN_HEADER, Prepared, PspConfig, prepare, prepared


class PspOpenApi(gateway.Provider):
    """The adapter. ``order_no`` is always the payment id."""

    name = "psp_open_api"
    account_type = PspConfig
    commands = frozenset({gateway.CreatePayment})
    fields = requests.FIELDS
    secret_headers = frozenset({TOKEN_HEADER})

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Allow every currency; check amounts by the account's rule; expire a payment without an outcome softly."""
        config: PspConfig = account.config
        return gateway.Rules(
            amount=config.amounts(),
            time_window=(config.time_window, config.time_window),
            expires_after=config.expires_after,
            deposit_method_required=True,
        )

    def prepare(self, account: gateway.Account) -> Prepared:
        """Derive the account's credentials."""
        return prepare(account)

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """Name what the tenant's bridge needs besides the callback address."""
        return {"merchant_id": prepared(account).merchant_ids[0], "token": prepared(account).tokens[0]}

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Write API-1. Raises ``FieldProblem`` for an amount or a text that the protocol cannot carry."""
        if not isinstance(command, gateway.CreatePayment):
            raise TypeError(f"psp_open_api cannot do {type(command).__name__}")
        return requests.payment_page(command, account)

    def signed_text(self, request: gateway.HttpRequest, account: gateway.Account) -> str:
        """Show what ``build`` signed, with stars for the token."""
        return requests.signed_text(request, account)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined:
        """Read the response to API-1. Raises ``OutcomeUnknown`` for everything but a clear yes or no."""
        return responses.read(command, response, account)

    def unusual(self, response: gateway.HttpResponse) -> tuple[str, ...]:
        """Name what a response has that the description does not promise."""
        return responses.unusual(response)

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
        """Prove API-2 and read it. Raises ``CallbackRejected``; a sender without token and sign learns nothing more."""
        return api2.verify(callback, account)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        """Word a verdict: 204 without body, or ``{"error": true, "code": HTTP status, "type": …}``."""
        return api2.answer(verdict, callback.config if isinstance(callback.config, PspConfig) else None)

    def advice(self, account: gateway.Account) -> Mapping[str, str]:
        """Say what could be better in the settings of an account."""
        return diagnosis.advice(account.fields)

    def explain(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
        """Explain to operators, check by check, how ``verify`` proves a callback."""
        return diagnosis.explain(callback, account)

    def sign_callback(self, draft: gateway.CallbackDraft, account: gateway.Account, url: str) -> gateway.HttpRequest:
        """Write API-2 as a bridge would, to try an account with."""
        return diagnosis.sample_callback(draft, account, url)


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the adapter."""
    return [PspOpenApi()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    """Offer a simulated bridge for development."""
    from gateway_psp_open_api.simulator import PspSimulator  # loads a web server: only when one is wanted

    return [PspSimulator.offer()]
