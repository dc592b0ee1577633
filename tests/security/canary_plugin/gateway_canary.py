"""A careless plugin of an outside author: it logs in, and quotes whatever it hears and knows in all its texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

import gateway

KEY_HEADER = "X-Canary-Key"


class CanaryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the provider is, what opens a session, and what its callbacks are known by."""

    base_url: str
    client_secret: gateway.Secret
    callback_key: gateway.Secret


class Canary:
    """The adapter."""

    name = "canary"
    account_type: type[msgspec.Struct] = CanaryConfig
    commands: frozenset[type[gateway.Command]] = frozenset({gateway.CreatePayment, gateway.FetchPayment})
    fields: Mapping[str, gateway.FieldRule] = {}
    secret_headers = frozenset({KEY_HEADER.lower()})

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # the protocol's signature
        """Allow everything."""
        return gateway.Rules()

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """The provider must know the key of its callbacks."""
        return {"callback_key": account.config.callback_key}

    def login(self, account: gateway.Account) -> gateway.HttpRequest:
        """Ask for a session."""
        body = gateway.dumps({"client_secret": account.config.client_secret.reveal()})
        headers = (("Content-Type", "application/json"),)
        return gateway.HttpRequest(method="POST", url=f"{account.config.base_url}/login", headers=headers, body=body)

    def parse_login(self, response: gateway.HttpResponse, account: gateway.Account) -> gateway.Session:
        """Read the session; a refusal quotes everything received."""
        if response.status != 200:
            secret = account.config.client_secret.reveal()
            raise gateway.ProviderError(f"login with {secret} refused: {response.body.decode()}")
        return gateway.Session(token=gateway.Secret(msgspec.json.decode(response.body)["token"]), expires_in=3600)

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Send any command under the session."""
        token = account.session.token.reveal() if account.session is not None else ""
        return gateway.HttpRequest(
            method="POST",
            url=f"{account.config.base_url}/{type(command).__name__}",
            headers=(("Content-Type", "application/json"), ("Authorization", f"Bearer {token}")),
            body=gateway.dumps({"payment": command.payment_id, "reference": command.merchant_reference}),
        )

    def parse(self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account) -> Any:
        """Become whatever the answer says, word for word."""
        answer = msgspec.json.decode(response.body)
        text = f"{answer['text']} (session {account.session.token.reveal() if account.session else ''})"
        match answer["kind"]:
            case "declined":
                return gateway.Declined(code=answer["text"][:64], message=text)
            case "unknown":
                raise gateway.OutcomeUnknown(text)
            case "crash":
                raise RuntimeError(text)
            case "reference":
                return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, provider_reference=answer["text"])
            case "page":
                page = f"https://canary.example/{answer['text']}"
                return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, redirect_url=page)
            case _:
                return gateway.Observation(
                    stage=gateway.Stage.AWAITING_CUSTOMER,
                    payment_id=command.payment_id,
                    provider_reference=f"ref-{command.payment_id}",
                    raw_status=answer["text"],
                )

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
        """Accept anyone who sends the key; show everyone else the expected key."""
        given = gateway.header(callback.headers, KEY_HEADER)
        wanted = account.config.callback_key.reveal()
        if given != [wanted]:
            raise gateway.CallbackRejected(
                gateway.Reason.UNAUTHENTIC, f"got {given} and {callback.body.decode(errors='replace')}, not {wanted}"
            )
        members = msgspec.json.decode(callback.body)
        seen = gateway.Observation(
            stage=gateway.Stage.CAPTURED,
            payment_id=members["payment"],
            provider_reference=members["reference"],
            raw_status=members["text"],
            currency="USD",
            amount=gateway.Amount.read("162.48"),
        )
        return gateway.Event(event_id=members["id"], observation=seen)

    def explain(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
        """Show everything."""
        wanted = account.config.callback_key.reveal()
        checks = (gateway.Check(name="key", passed=False, detail=f"{callback.headers} is not {wanted}"),)
        return gateway.Explanation(checks=checks, signed={"all": f"{callback.body!r}{wanted}"}, notes=(wanted,))

    def answer(
        self,
        verdict: gateway.Verdict,
        callback: gateway.Callback,  # noqa: ARG002  # the protocol's signature
    ) -> gateway.HttpResponse:
        """Answer by status alone."""
        return gateway.HttpResponse(status=200 if isinstance(verdict, gateway.Recorded | gateway.Repeated) else 400)


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the adapter."""
    return [Canary()]
