"""Faults that authors make, each a patch of the sound plugin, with the rule that has to name it."""

# ruff: noqa: E501  # code as it is in the plugin

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """Replace ``old`` by ``new`` in the plugin's source; the kit must report ``rule``."""

    name: str
    rule: str
    old: str
    new: str


COMPARE = "not gateway.same(given[0], wanted)"
CREATE = "            own = {member.key"
VERIFY = "        given = gateway.header(callback.headers, SIGNATURE)\n"
BODY = "wanted = hmac.new(key.reveal().encode(), callback.body, hashlib.sha256).hexdigest()"
EVENT = "gateway.Event(event_id=notice.event, observation=observation)"
OPERATION = EVENT[:-1] + ", operation=gateway.OperationOutcome(operation_id='op_1', outcome=gateway.Succeeded()))"
AMOUNT = '"amount": command.money.minor_units(),\n'
REFUND = '{"amount": command.money.minor_units()}'
OBSERVE = "        return observe(payment, account)\n"
REFUSAL = "            secrets = gateway.secrets_of(account.config)\n"
BUSY = "            case gateway.Busy(retry_after=seconds):\n"
STAGE = "STAGES.get(payment.status, gateway.Stage.UNKNOWN)"
IMPORTS = "import gateway\n\nSIGNATURE"
RULES = "        return gateway.Rules("
PATH = "        path = PATHS[type(command)]"
KEY = "account, command.operation_id, body)"


def importing(module: str, code: str) -> str:
    """Code after an import."""
    return f"            import {module}\n{code}"


FAULTS = (
    # what the report of two outside plugins planted
    Fault("the signature is not compared", "forged-callback", f"len(given) != 1 or {COMPARE}", "False"),
    Fault("a prefix is compared", "partial-signature", COMPARE, "not wanted.startswith(given[0])"),
    Fault("cents twice", "wire-amount", AMOUNT, '"amount": command.money.minor_units() * 100,\n'),
    Fault(
        "float money", "float-money", AMOUNT, '"amount": int(float(command.money.amount) * 10**command.money.digits),\n'
    ),
    Fault("an unknown word is captured", "unknown-word", STAGE, "STAGES.get(payment.status, gateway.Stage.CAPTURED)"),
    Fault(
        "HTML breaks parse",
        "parse-raises",
        "        payment = gateway.read_answer(response, Payment)",
        "        payment = msgspec.json.decode(response.body, type=Payment)",
    ),
    Fault(
        "a secret in the URL",
        "secret-in-url",
        'f"{config.base_url}/token"',
        'f"{config.base_url}/token?secret={config.client_secret.reveal()}"',
    ),
    Fault(
        "a secret in a refusal",
        "secret-shown",
        REFUSAL,
        '            return gateway.Declined(code="no", message=account.config.client_secret.reveal())\n' + REFUSAL,
    ),
    Fault("a secret in a rejection", "secret-shown", '"the signature is wrong")', 'f"the key is {key.reveal()}")'),
    Fault("a random idempotency key", "randomness", KEY, 'account, __import__("uuid").uuid4().hex, body)'),
    Fault(
        "JSON is verified after it was read",
        "reencoded",
        BODY,
        "import json; "
        + BODY.replace(
            "callback.body", "json.dumps(json.loads(callback.body or b'null'), separators=(',', ':')).encode()"
        ),
    ),
    Fault(
        "ids swapped",
        "swapped-id",
        "payment_id=payment.reference,\n        provider_reference=payment.id",
        "payment_id=payment.id,\n        provider_reference=payment.reference",
    ),
    Fault(
        "totals swapped",
        "reply",
        "captured=major(payment.captured, payment.currency, account),\n        refunded=major(payment.refunded, ",
        "captured=major(payment.refunded, payment.currency, account),\n        refunded=major(payment.captured, ",
    ),
    Fault(
        "a refund without its amount",
        "wire-amount",
        "isinstance(command, gateway.CancelPayment) else",
        "isinstance(command, gateway.CancelPayment) else {'amount': 0} if isinstance(command, gateway.RefundPayment) else",
    ),
    Fault(
        "a refund that names no amount",
        "amount-not-sent",
        "isinstance(command, gateway.CancelPayment) else",
        "isinstance(command, gateway.CancelPayment | gateway.RefundPayment) else",
    ),
    Fault("the clock in build", "clock", CREATE, importing("time", "            time.time()\n") + CREATE),
    Fault(
        "the first account's login is kept",
        "tenants-mixed",
        "        config: SoundConfig = account.config\n        form",
        "        self.first = getattr(self, 'first', account)\n        config: SoundConfig = self.first.config\n        form",
    ),
    Fault(
        "the last session is kept",
        "tenants-mixed",
        '        headers = [("Authorization", f"Bearer {account.session',
        '        SESSIONS.setdefault(1, account)\n        account = SESSIONS[1]\n        headers = [("Authorization", f"Bearer {account.session',
    ),
    Fault(
        "the first account's key signs for all",
        "tenants-mixed",
        '("Idempotency-Key", key)',
        '("Idempotency-Key", key), ("Sign", str(KEYS.setdefault("sign", hash(account.config.webhook_key))))',
    ),
    Fault(
        "every 4xx of a lookup is absence",
        "absent-without-proof",
        "is_absent = response.status == 404 and",
        "is_absent = True and",
    ),
    Fault(
        "absence of a capture",
        "absent-without-proof",
        "response.status == 404 and isinstance(command, gateway.FetchPayment)",
        "response.status == 404",
    ),
    Fault("a random event id", "randomness", EVENT, EVENT.replace("notice.event", '__import__("secrets").token_hex()')),
    Fault(
        "an event id of the time",
        "event-id-changes",
        EVENT,
        EVENT.replace("notice.event", 'f"{notice.event} {callback.received_at}"'),
    ),
    Fault("a constant event id", "event-id-shared", EVENT, EVENT.replace("notice.event", '"event"')),
    Fault("a second of sleep", "blocks", CREATE, importing("time", "            time.sleep(1)\n") + CREATE),
    Fault(
        "a long computation",
        "slow",
        PATH,
        PATH + "\n        sum(range(10**7 if isinstance(command, gateway.CancelPayment) else 1))",
    ),
    Fault("verify returns True", "verify-returns", f"return {EVENT}", "return True"),
    Fault("Busy is a success", "busy-as-success", "HttpResponse(status=503", "HttpResponse(status=200"),
    Fault(
        "a secret typed as text",
        "secret-as-text",
        "    webhook_key: gateway.Secret",
        "    webhook_key: gateway.Secret\n    api_key: str = ''",
    ),
    Fault(
        "202 is a success",
        "reply",
        "return gateway.Pending(observation=gateway.Observation(stage=gateway.Stage.UNKNOWN))",
        "return gateway.Observation(stage=gateway.Stage.CAPTURED)",
    ),
    Fault("all currencies have two digits", "wire-amount", AMOUNT, '"amount": int(command.money.amount * 100),\n'),
    Fault(
        "all currencies have two digits when read",
        "reply",
        "        money = account.money(units, currency)",
        "        money = gateway.Money.of(Decimal(units).scaleb(-2), currency, 2)",
    ),
    Fault(
        "a lookup takes any payment for ours",
        "copied-id",
        '        if payment.reference != command.payment_id:\n            raise gateway.OutcomeUnknown("the answer is about another payment")\n        return observe(payment, account)',
        "        return msgspec.structs.replace(observe(payment, account), payment_id=command.payment_id)",
    ),
    Fault("a misspelt hook", "declaration", "def gateway_providers()", "def gateway_provider()"),
    Fault("answer is missing", "declaration", "    def answer(", "    def answers("),
    Fault("a bad name", "declaration", 'name = "soundpay"', 'name = "Sound Pay"'),
    Fault("async build", "declaration", "    def build(", "    async def build("),
    Fault("parse_login is missing", "declaration", "    def parse_login(", "    def read_login("),
    Fault(
        "a declared command is not built",
        "build-fails",
        "gateway.FetchPayment, *PATHS",
        "gateway.FetchPayment, gateway.UpdatePayment, *PATHS",
    ),
    Fault("a field's source does not exist", "declaration", 'source="customer.email"', 'source="customer.emial"'),
    # what a stranger planted
    Fault("one key for all operations", "constant-key", KEY, 'account, "key", body)'),
    Fault(
        "the payment as the key of its refunds",
        "constant-key",
        'return self._request("POST", url, account, command.operation_id',
        'return self._request("POST", url, account, command.payment_id',
    ),
    Fault(
        "the return address as that of giving up",
        "urls-swapped",
        '"notify": command.urls.callback,\n',
        '"notify": command.urls.callback,\n                "cancel_url": command.urls.return_,\n',
    ),
    Fault(
        "a secret in a header's name",
        "secret-in-url",
        '("Idempotency-Key", key)]',
        '("Idempotency-Key", key), (account.config.webhook_key.reveal(), "1")]',
    ),
    Fault(
        "a currency for all others",
        "wrong-currency",
        '"currency": command.money.currency,',
        '"currency": command.money.currency if command.money.currency in ("USD", "JPY") else "EUR",',
    ),
    Fault(
        "a constant currency of captures",
        "wrong-currency",
        REFUND,
        '{"amount": command.money.minor_units(), "currency": "USD"}',
    ),
    Fault(
        "the first login's token for all",
        "login",
        "gateway.Session(token=gateway.Secret(token.access_token)",
        'gateway.Session(token=SESSIONS.setdefault("token", gateway.Secret(token.access_token))',
    ),
    Fault(
        "any of two signatures",
        "partial-signature",
        f"len(given) != 1 or {COMPARE}",
        "not any(gateway.same(one, wanted) for one in given)",
    ),
    Fault(
        "the last signature",
        "partial-signature",
        f"len(given) != 1 or {COMPARE}",
        "not given or not gateway.same(given[-1], wanted)",
    ),
    *(
        Fault(
            f"no proof {name}",
            "partial-signature",
            f"len(given) != 1 or {COMPARE}",
            f"not {way} and (len(given) != 1 or {COMPARE})",
        )
        for name, way in {
            "behind a proxy": 'gateway.header(callback.headers, "X-Forwarded-For")',
            "from this machine": '(callback.remote == "127.0.0.1")',
            "while debugging": '("debug=1" in callback.query)',
            "by PUT": '(callback.method == "PUT")',
        }.items()
    ),
    Fault(
        "the customer's return is believed",
        "forged-callback",
        "            return gateway.Hint()\n",
        "            if 'status=paid' in callback.query:\n                return gateway.Event(event_id='1', observation=gateway.Observation(stage=gateway.Stage.CAPTURED, payment_id=callback.payment_id))\n            return gateway.Hint()\n",
    ),
    Fault("every operation succeeded", "unknown-outcome", EVENT, OPERATION),
    Fault(
        "every refund succeeded",
        "unknown-outcome",
        OBSERVE,
        "        done = gateway.OperationOutcome(operation_id=getattr(command, 'operation_id', 'op_1'), outcome=gateway.Succeeded())\n        return msgspec.structs.replace(observe(payment, account), operations=(done,))\n",
    ),
    Fault(
        "what is accepted succeeded",
        "pending-success",
        "gateway.Observation(stage=gateway.Stage.UNKNOWN)",
        "gateway.Observation(stage=gateway.Stage.UNKNOWN, operations=(gateway.OperationOutcome(operation_id=command.operation_id, outcome=gateway.Succeeded()),))",
    ),
    Fault("an operation and a total", "delta-and-total", EVENT, OPERATION),
    Fault(
        "the provider's reference is copied",
        "copied-id",
        OBSERVE,
        "        return msgspec.structs.replace(observe(payment, account), provider_reference=command.provider_reference)\n",
    ),
    Fault(
        "the operation's id is copied",
        "copied-id",
        OBSERVE,
        "        done = gateway.OperationOutcome(operation_id=getattr(command, 'operation_id', 'op_1'))\n        return msgspec.structs.replace(observe(payment, account), operations=(done,))\n",
    ),
    # more of the same kinds
    Fault(
        "a callback that cannot be signed",
        "sign-callback",
        "    def credentials(",
        "    def sign_callback(self, draft: object, account: object, url: str) -> None:\n        return None\n\n"
        "    def credentials(",
    ),
    Fault("the clock in rules", "clock", RULES, "        __import__('time').time()\n" + RULES),
    Fault(
        "a declared field is not sent",
        "field-not-sent",
        "                **own,\n",
        "                'name': own['name'],\n",
    ),
    Fault(
        "additional parameters win",
        "extra-replaces",
        '                "notify": command.urls.callback,\n            }',
        '                "notify": command.urls.callback,\n                **own,\n            }',
    ),
    Fault(
        "a header is looked up in its own case",
        "header-case",
        "gateway.header(callback.headers, SIGNATURE)",
        "[value for name, value in callback.headers if name == SIGNATURE]",
    ),
    Fault(
        "an empty signature is believed",
        "partial-signature",
        f"len(given) != 1 or {COMPARE}",
        f"given and given[0] and {COMPARE}",
    ),
    Fault(
        "half of the signature is compared", "partial-signature", COMPARE, "not gateway.same(given[0][:8], wanted[:8])"
    ),
    Fault(
        "the same key for every tenant",
        "other-tenant",
        "key: gateway.Secret = account.config.webhook_key",
        'key: gateway.Secret = KEYS.setdefault("key", account.config.webhook_key)',
    ),
    Fault(
        "a body is read before it is proved",
        "verify-raises",
        VERIFY,
        "        msgspec.json.decode(callback.body)\n" + VERIFY,
    ),
    Fault(
        "success whatever the status",
        "success-from-refusal",
        "        if response.status >= 400:\n",
        "        if b'reference' in response.body:\n            return observe(gateway.read_answer(response, Payment), account)\n        if response.status >= 400:\n",
    ),
    Fault(
        "a page of HTML is success",
        "page-as-answer",
        "        payment = gateway.read_answer(response, Payment)",
        "        if b'captured' in response.body:\n            return gateway.Observation(stage=gateway.Stage.CAPTURED)\n        payment = gateway.read_answer(response, Payment)",
    ),
    Fault(
        "half an answer is success",
        "cut-answer",
        "        payment = gateway.read_answer(response, Payment)",
        "        if b'captured' in response.body:\n            return gateway.Observation(stage=gateway.Stage.CAPTURED)\n        payment = gateway.read_answer(response, Payment)",
    ),
    Fault(
        "amounts through a float",
        "inexact-amount",
        "    return money.amount\n",
        "    return Decimal(float(money.amount))\n",
    ),
    Fault("an amount as a float", "parse-returns", "    return money.amount\n", "    return float(money.amount)\n"),
    Fault(
        "a header with a line break", "build-returns", '("Idempotency-Key", key)', '("Idempotency-Key", key + "\\n")'
    ),
    Fault(
        "a secret that is not revealed", "build-returns", "account.session.token.reveal()}", "account.session.token}"
    ),
    Fault("a body that is text", "build-returns", "gateway.dumps(body)\n", "gateway.dumps(body).decode()\n"),
    Fault("a header that is a number", "build-returns", '("Idempotency-Key", key)', '("Idempotency-Key", 7)'),
    Fault(
        "a blank in the URL",
        "build-returns",
        '            return self._request("GET", f"{base}/payments/',
        '            return self._request("GET", f"{base}/my payments/',
    ),
    Fault(
        "build returns nothing",
        "build-returns",
        "        return gateway.HttpRequest(method=method",
        "        gateway.HttpRequest(method=method",
    ),
    Fault(
        "a counter in the body",
        "not-deterministic",
        '                "notify": command.urls.callback,\n',
        '                "notify": command.urls.callback,\n                "n": len(COUNTED.append(1) or COUNTED),\n',
    ),
    Fault("the environment", "environment", CREATE, importing("os", "            os.environ.get('HOME')\n") + CREATE),
    Fault("a file", "files", CREATE, "            open(__file__).close()\n" + CREATE),
    Fault(
        "a connection",
        "network",
        CREATE,
        importing("socket", "            socket.create_connection(('127.0.0.1', 9))\n") + CREATE,
    ),
    Fault(
        "credentials as text",
        "credentials-show-secret",
        '"webhook_key": account.config.webhook_key}',
        '"webhook_key": account.config.webhook_key.reveal()}',
    ),
    Fault(
        "answer returns nothing",
        "answer-returns",
        "        return gateway.HttpResponse(status=200)\n",
        "        return None\n",
    ),
    Fault(
        "a late callback is an error",
        "asks-for-repetition",
        "        return gateway.HttpResponse(status=200)\n",
        "        return gateway.status_answer(verdict, refused=422)\n",
    ),
    Fault(
        "stored callbacks are errors",
        "recorded-as-error",
        "        return gateway.HttpResponse(status=200)\n",
        "        return gateway.HttpResponse(status=404)\n",
    ),
    Fault(
        "a refused login is a session",
        "login",
        '        if response.status != 200:\n            raise gateway.ProviderError("the login was refused")\n',
        "",
    ),
    Fault(
        "a refusal by a page is a no",
        "declined-page",
        REFUSAL,
        '            return gateway.Declined(code="no", message="refused")\n' + REFUSAL,
    ),
    Fault(
        "the last of two members counts",
        "member-twice",
        "        payment = gateway.read_answer(response, Payment)",
        "        try:\n            payment = msgspec.json.decode(response.body, type=Payment)\n        except ValueError:\n            raise gateway.OutcomeUnknown('unreadable') from None",
    ),
    Fault(
        "prepare fails",
        "account",
        "    def credentials(",
        "    def prepare(self, account: gateway.Account) -> object:\n        return None\n\n    def credentials(",
    ),
    Fault(
        "the callback's stage is another",
        "callback",
        EVENT,
        EVENT.replace(
            "observation=observation",
            "observation=gateway.Observation(stage=gateway.Stage.PROCESSING, payment_id=notice.payment.reference)",
        ),
    ),
)
