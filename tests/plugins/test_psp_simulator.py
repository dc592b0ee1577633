"""gateway_psp_open_api.simulator: against the adapter and a real callback receiver."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gateway_psp_open_api as plugin
import pytest
from aiohttp import ClientConnectionError, web
from aiohttp.test_utils import TestClient, TestServer
from gateway_psp_open_api import simulator

import gateway
from gateway.core.field_mapping import FieldChange
from tests.support.factories.psp import MERCHANT, TOKEN, account, create

PSP = plugin.PspOpenApi()
Start = Callable[..., Awaitable["Bridge"]]


class Bridge:
    """A running simulator, and the gateway's callback endpoint as it sees it."""

    def __init__(self, client: TestClient[Any, Any], psp: gateway.Account) -> None:
        self.client = client
        self.account = psp
        self.events: list[gateway.Event] = []
        self.callbacks: list[bytes] = []

    async def pay_url(
        self, command: gateway.CreatePayment | None = None, path: str = "/pay/url"
    ) -> gateway.HttpResponse:
        """Send API-1 exactly as the adapter builds it."""
        request = PSP.build(command or create(), self.account)
        answer = await self.client.post(path, data=request.body, headers=dict(request.headers))
        return gateway.HttpResponse(
            status=answer.status, headers=tuple(answer.headers.items()), body=await answer.read()
        )

    async def page(self) -> str:
        """Create a payment and return the path of its page."""
        seen = PSP.parse(create(), await self.pay_url(), self.account)
        assert isinstance(seen, gateway.Observation)
        assert seen.redirect_url is not None
        return seen.redirect_url[seen.redirect_url.index("/pay/") :]

    async def press(self, page: str, button: str) -> dict[str, Any]:
        answer = await self.client.post(f"{page}/{button}", headers={"Accept": "application/json"})
        return dict(await answer.json())

    async def orders(self) -> list[dict[str, Any]]:
        return list(await (await self.client.get("/_sim/orders")).json())

    async def faults(self, **faults: Any) -> int:
        return (await self.client.put("/_sim/faults", json=faults)).status


@pytest.fixture
def start(aiohttp_client: Any, aiohttp_server: Any) -> Start:
    """Start a simulator whose callbacks are proved by the adapter."""

    async def started(base: str = "", **settings: Any) -> Bridge:
        async def receive(request: web.Request) -> web.Response:
            call = gateway.Callback(
                method=request.method,
                suffix=request.match_info["suffix"],
                query="",
                headers=tuple(request.headers.items()),
                body=await request.read(),
                remote="127.0.0.1",
                received_at=datetime.now(UTC),
            )
            bridge.callbacks.append(call.body)
            try:
                bridge.events.append(PSP.verify(call, bridge.account))
                answer = PSP.answer(gateway.Recorded(), call)
            except gateway.CallbackRejected as rejected:
                answer = PSP.answer(gateway.Refused(reason=rejected.reason), call)
            return web.Response(status=answer.status, body=answer.body or None, headers=dict(answer.headers))

        receiver = web.Application()
        receiver.router.add_route("*", "/callbacks/e1/{suffix:.*}", receive)
        server: TestServer = await aiohttp_server(receiver)
        psp = account(app_url="http://127.0.0.1:9102", **settings)
        simulated = gateway.SimulatedAccount(
            account=psp, callback_url=str(server.make_url("/callbacks/e1")) + base, credentials=PSP.credentials(psp)
        )
        app = simulator.PspSimulator.app({"acme/psp": simulated})
        bridge = Bridge(await aiohttp_client(app), psp)
        return bridge

    return started


def test_the_simulator_shares_no_code_with_the_adapter() -> None:
    """Its signing is its own, so that a mistake of the adapter is not confirmed."""
    tree = ast.parse(Path(simulator.__file__).read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.startswith("gateway_psp_open_api")]


async def test_a_payment_is_accepted_and_paid(start: Start) -> None:
    """API-1 gives a page; its Pay button sends an API-2 that the adapter proves."""
    bridge = await start()
    page = await bridge.page()
    assert await bridge.press(page, "pay") == {"status": 204, "body": ""}
    (event,) = bridge.events
    assert (event.observation.payment_id, event.observation.stage, event.problem) == (
        "pay_1",
        gateway.Stage.CAPTURED,
        None,
    )


@pytest.mark.parametrize(
    ("button", "stage", "state"),
    [
        ("pay", gateway.Stage.CAPTURED, "succeeded"),
        ("fail", gateway.Stage.FAILED, "failed"),
        ("pending", gateway.Stage.PROCESSING, "processing"),
    ],
)
async def test_each_button_has_its_status(start: Start, button: str, stage: gateway.Stage, state: str) -> None:
    """The three buttons tell the three documented statuses and move the ledger."""
    bridge = await start()
    await bridge.press(await bridge.page(), button)
    assert bridge.events[0].observation.stage is stage
    assert (await bridge.orders())[0]["state"] == state


async def test_the_page_has_its_buttons(start: Start) -> None:
    """A person finds the amount and three forms, and reads that this is a simulator."""
    bridge = await start()
    page = await bridge.page()
    text = await (await bridge.client.get(page)).text()
    assert "162.48 USD" in text
    assert "<h1>PSP simulator</h1>" in text
    assert all(f'action="{page}/{button}"' in text for button in ("pay", "fail", "pending"))


async def test_the_page_escapes_what_it_shows(start: Start) -> None:
    """Names from outside are text, not markup."""
    bridge = await start()
    await bridge.pay_url(create(payment_id="<script>"))
    order = (await bridge.orders())[0]
    text = await (await bridge.client.get(f"/pay/{order['id']}")).text()
    assert "<script>" not in text


async def test_a_browser_is_shown_how_the_callback_was_answered(start: Start) -> None:
    """Without Accept: application/json a press answers with the page."""
    bridge = await start()
    answer = await bridge.client.post(f"{await bridge.page()}/pay")
    assert answer.content_type == "text/html"
    assert "answered 204" in await answer.text()


async def test_an_unknown_page_is_not_found(start: Start) -> None:
    """A page exists only for an order."""
    bridge = await start()
    assert (await bridge.client.get("/pay/nothing")).status == 404


async def test_renamed_keys_are_understood(start: Start) -> None:
    """The bridge knows the account's wire keys; API-2 keeps the fixed ones."""
    fields = {name: FieldChange(key=f"x_{name}") for name in ("amount", "currency", "order_no", "sign", "user_id")}
    bridge = await start(fields=fields)
    await bridge.pay_url(create(customer=gateway.Customer(id="u1")))
    order = (await bridge.orders())[0]
    assert (order["order_no"], order["amount"], order["currency"]) == ("pay_1", "162.48", "USD")
    await bridge.press(f"/pay/{order['id']}", "pay")
    assert gateway.loads(bridge.callbacks[0])["user_id"] == "u1"
    assert bridge.events[0].problem is None


async def test_an_amount_sent_as_text_comes_back_as_text(start: Start) -> None:
    """The bridge answers in the form it was asked in."""
    bridge = await start(amount_as_text=True)
    await bridge.pay_url(create("0.00001", "XXX", 5))
    order = (await bridge.orders())[0]
    await bridge.press(f"/pay/{order['id']}", "pay")
    assert gateway.loads(bridge.callbacks[0])["amount"] == "0.00001"


async def test_a_callback_path_is_not_appended_twice(start: Start) -> None:
    """A callback address that already names the path is used as it stands."""
    bridge = await start(base="/pay/callback")
    assert (await bridge.press(await bridge.page(), "pay"))["status"] == 204


async def test_a_path_below_the_bridge_is_served(start: Start) -> None:
    """app_url may have a path of its own."""
    bridge = await start()
    assert (await bridge.pay_url(path="/some/bridge/pay/url")).status == 200


async def test_the_same_order_has_the_same_page(start: Start) -> None:
    """Sent again with the same amount and currency, an order keeps its address."""
    bridge = await start()
    assert await bridge.page() == await bridge.page()
    assert len(await bridge.orders()) == 1


@pytest.mark.parametrize("changed", [create("1.00"), create(currency="EUR")])
async def test_a_known_order_with_other_money_is_declined(start: Start, changed: gateway.CreatePayment) -> None:
    """An order number is not used for two amounts."""
    bridge = await start()
    await bridge.page()
    declined = PSP.parse(create(), await bridge.pay_url(changed), bridge.account)
    assert isinstance(declined, gateway.Declined)
    assert declined.code == "result_false"


@pytest.mark.parametrize(
    ("headers", "replace", "status"),
    [
        ({}, (b"", b""), 401),
        ({"crm-pay-token": "wrong"}, (b"", b""), 401),
        ({"crm-pay-token": TOKEN.reveal()}, (b"162.48", b"162.49"), 401),
        ({"crm-pay-token": TOKEN.reveal()}, (b'"sign":', b'"Sign":'), 401),
        ({"crm-pay-token": TOKEN.reveal()}, (b"{", b""), 400),
        ({"crm-pay-token": TOKEN.reveal()}, (b'"USD"', b'["USD"]'), 400),
    ],
)
async def test_api1_is_proved_before_it_has_an_effect(
    start: Start, headers: dict[str, str], replace: tuple[bytes, bytes], status: int
) -> None:
    """A wrong token, sign or shape is refused in the envelope and leaves the ledger empty."""
    bridge = await start()
    body = PSP.build(create(), bridge.account).body
    answer = await bridge.client.post("/pay/url", data=body.replace(*replace) if replace[0] else body, headers=headers)
    body = await answer.json()
    assert (answer.status, body["data"], body["result"]) == (status, {}, False)
    assert await bridge.orders() == []


async def test_another_merchant_id_is_refused(start: Start) -> None:
    """A signed body of another integration is refused."""
    bridge = await start()
    request = PSP.build(create(), account(merchant_id="someone-else"))
    answer = await bridge.client.post("/pay/url", data=request.body, headers=dict(request.headers))
    assert answer.status == 401


async def test_requests_are_shown_as_they_came(start: Start) -> None:
    """Raw body and headers of each API-1 call can be read back."""
    bridge = await start()
    await bridge.pay_url()
    (seen,) = await (await bridge.client.get("/_sim/requests")).json()
    assert (seen["method"], seen["path"]) == ("POST", "/pay/url")
    assert seen["body"].encode() == PSP.build(create(), bridge.account).body
    assert seen["headers"]["crm-pay-token"] == TOKEN.reveal()


async def test_the_ledger_tells_what_happened(start: Start) -> None:
    """Each order shows its money, its wire members and how every callback was answered."""
    bridge = await start()
    await bridge.press(await bridge.page(), "pay")
    (order,) = await bridge.orders()
    assert order["merchant_id"] == MERCHANT
    assert order["transaction_id"] == bridge.events[0].observation.provider_reference
    assert order["callbacks"] == [{"status_sent": 1, "http_status": 204, "body": ""}]
    assert order["fields"]["amount"] == "162.48"


async def test_a_refused_callback_is_shown(start: Start) -> None:
    """The protocol's error comes back to whoever pressed."""
    bridge = await start()
    page = await bridge.page()
    bridge.account = account(merchant_id="changed")
    body = await bridge.press(page, "pay")
    assert (body["status"], gateway.loads(body["body"].encode())["type"]) == (400, "psp_setting_not_found")


async def test_a_callback_nobody_receives_is_shown(aiohttp_client: Any, unused_tcp_port: int) -> None:
    """A closed port is no HTTP status, and no error of the simulator."""
    psp = account(app_url="http://127.0.0.1:9102")
    simulated = gateway.SimulatedAccount(
        account=psp, callback_url=f"http://127.0.0.1:{unused_tcp_port}", credentials=PSP.credentials(psp)
    )
    bridge = Bridge(await aiohttp_client(simulator.PspSimulator.app({"acme/psp": simulated})), psp)
    assert (await bridge.press(await bridge.page(), "pay"))["status"] is None


async def test_the_token_tells_the_account(aiohttp_client: Any) -> None:
    """One application serves every account, each with its own keys."""
    accounts = {name: account(token=gateway.Secret(f"token of {name}"), merchant_id=name) for name in ("a", "b")}
    app = simulator.PspSimulator.app(
        {
            f"acme/{name}": gateway.SimulatedAccount(
                account=psp, callback_url="http://127.0.0.1:9", credentials=PSP.credentials(psp)
            )
            for name, psp in accounts.items()
        }
    )
    client = await aiohttp_client(app)
    for body in accounts.values():
        assert (await Bridge(client, body).pay_url()).status == 200
    assert [order["merchant_id"] for order in await Bridge(client, accounts["a"]).orders()] == ["a", "b"]


# Faults


@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_a_status_fault_refuses_in_the_envelope(start: Start, status: int) -> None:
    """API-1 is refused with the wanted status and nothing happens."""
    bridge = await start()
    await bridge.faults(status=status)
    answer = await bridge.pay_url()
    assert (answer.status, gateway.loads(answer.body)["result"]) == (status, False)
    assert await bridge.orders() == []


async def test_a_result_fault_declines(start: Start) -> None:
    """API-1 is answered with result false and nothing happens."""
    bridge = await start()
    await bridge.faults(result=False)
    assert isinstance(PSP.parse(create(), await bridge.pay_url(), bridge.account), gateway.Declined)
    assert await bridge.orders() == []


@pytest.mark.parametrize(("moment", "orders"), [("before_effect", 0), ("after_effect", 1)])
async def test_silence_closes_the_connection(start: Start, moment: str, orders: int) -> None:
    """The caller hears nothing; the ledger knows whether it had its effect."""
    bridge = await start()
    await bridge.faults(silence=moment)
    with pytest.raises(ClientConnectionError):
        await bridge.pay_url()
    assert len(await bridge.orders()) == orders


async def test_malformed_answers_are_no_json(start: Start) -> None:
    """The order exists, the answer cannot be read."""
    bridge = await start()
    await bridge.faults(malformed=True)
    with pytest.raises(gateway.OutcomeUnknown):
        PSP.parse(create(), await bridge.pay_url(), bridge.account)
    assert len(await bridge.orders()) == 1


async def test_an_early_callback_comes_before_the_answer(start: Start) -> None:
    """API-2 has been sent and answered when API-1 is."""
    bridge = await start()
    await bridge.faults(early_callback=True)
    await bridge.pay_url()
    assert [event.observation.stage for event in bridge.events] == [gateway.Stage.CAPTURED]


async def test_a_duplicate_callback_differs_in_time_and_sign_alone(start: Start) -> None:
    """The second copy is the same event with a new time and sign."""
    bridge = await start()
    await bridge.faults(duplicate_callback=True)
    await bridge.press(await bridge.page(), "pay")
    first, second = (gateway.loads(body) for body in bridge.callbacks)
    assert {name for name in first if first[name] != second[name]} == {"time", "sign"}
    assert bridge.events[0].event_id == bridge.events[1].event_id


def test_no_two_callbacks_have_the_same_time() -> None:
    """Callbacks sent in the same millisecond still differ."""
    bridge = simulator.PspSimulator({})
    assert len({bridge.next_time() for _ in range(100)}) == 100


async def test_a_delayed_answer_still_comes(start: Start) -> None:
    """A delay changes nothing but the time."""
    bridge = await start()
    await bridge.faults(delay_ms=1)
    assert (await bridge.pay_url()).status == 200


async def test_a_fault_lasts_as_often_as_told(start: Start) -> None:
    """times counts the calls it changes."""
    bridge = await start()
    await bridge.faults(status=503, times=2)
    assert [(await bridge.pay_url()).status for _ in range(3)] == [503, 503, 200]


async def test_a_duplicate_lasts_as_often_as_told(start: Start) -> None:
    """For a fault of API-2 the presses count, not the API-1 calls before them."""
    bridge = await start()
    await bridge.faults(duplicate_callback=True, times=1)
    page = await bridge.page()
    await bridge.press(page, "pending")
    await bridge.press(page, "pay")
    assert len(bridge.callbacks) == 3


async def test_faults_last_until_cleared(start: Start) -> None:
    """An empty object ends them."""
    bridge = await start()
    await bridge.faults(status=503)
    assert [(await bridge.pay_url()).status for _ in range(2)] == [503, 503]
    await bridge.faults()
    assert (await bridge.pay_url()).status == 200


@pytest.mark.parametrize("faults", [{"sttaus": 503}, {"silence": "always"}, {"result": True}])
async def test_unknown_faults_are_refused(start: Start, faults: dict[str, Any]) -> None:
    """A misspelt fault is an error, not ignored."""
    bridge = await start()
    assert await bridge.faults(**faults) == 400
