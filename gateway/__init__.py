"""The public API for plugin authors: values, errors, the Provider protocol and ``hookimpl``.

A plugin writes ``import gateway`` and nothing deeper. Importing this starts no web framework and opens no database.
"""

from gateway.core.commands import (
    Address,
    CancelPayment,
    CapturePayment,
    Charges,
    Checkout,
    Command,
    CompletePayment,
    CreatePayment,
    Customer,
    FetchPayment,
    Item,
    Kind,
    OpenOperation,
    Order,
    RefundPayment,
    UpdatePayment,
)
from gateway.core.errors import CallbackRejected, GatewayError, OutcomeUnknown, ProviderError, Reason
from gateway.core.facts import (
    Absent,
    Ask,
    Busy,
    Declined,
    Event,
    Form,
    Hint,
    Observation,
    OperationOutcome,
    Pending,
    Recorded,
    Refused,
    Repeated,
    Stage,
    Succeeded,
    Verdict,
)
from gateway.core.field_mapping import FieldRule
from gateway.core.field_values import Field, FieldMap, FieldProblem, Member, fill
from gateway.core.masking import clean_message, secrets_of
from gateway.core.money import Amount, Money
from gateway.core.nested_fields import fill_nested
from gateway.core.networks import network
from gateway.core.payment import Payment, PaymentEvent, State
from gateway.core.payment_urls import Urls
from gateway.core.refusal import read_refusal
from gateway.core.response_body import (
    decimal_of,
    json_object,
    json_of,
    read_amount,
    read_answer,
    read_id,
    read_json,
    unusual,
)
from gateway.core.rules import Actual, AmountRule, Exact, Rules, Tolerance
from gateway.core.secret import Secret
from gateway.core.signing import same
from gateway.core.status_answer import status_answer
from gateway.core.status_word import status_word
from gateway.core.strictjson import JsonNumber, NotStrictJson, dumps, loads
from gateway.core.urls import base_url, one_host, page_url, redirect_problem
from gateway.core.validation import order_problems
from gateway.core.wire import Callback, Headers, HttpRequest, HttpResponse, header, media_type
from gateway.hookspecs import hookimpl
from gateway.provider import (
    API_VERSION,
    Account,
    CallbackDraft,
    Check,
    Derive,
    Explanation,
    Provider,
    Session,
    SimulatedAccount,
    Simulator,
)

__all__ = [
    "API_VERSION",
    "Absent",
    "Account",
    "Actual",
    "Address",
    "Amount",
    "AmountRule",
    "Ask",
    "Busy",
    "Callback",
    "CallbackDraft",
    "CallbackRejected",
    "CancelPayment",
    "CapturePayment",
    "Charges",
    "Check",
    "Checkout",
    "Command",
    "CompletePayment",
    "CreatePayment",
    "Customer",
    "Declined",
    "Derive",
    "Event",
    "Exact",
    "Explanation",
    "FetchPayment",
    "Field",
    "FieldMap",
    "FieldProblem",
    "FieldRule",
    "Form",
    "GatewayError",
    "Headers",
    "Hint",
    "HttpRequest",
    "HttpResponse",
    "Item",
    "JsonNumber",
    "Kind",
    "Member",
    "Money",
    "NotStrictJson",
    "Observation",
    "OpenOperation",
    "OperationOutcome",
    "Order",
    "OutcomeUnknown",
    "Payment",
    "PaymentEvent",
    "Pending",
    "Provider",
    "ProviderError",
    "Reason",
    "Recorded",
    "RefundPayment",
    "Refused",
    "Repeated",
    "Rules",
    "Secret",
    "Session",
    "SimulatedAccount",
    "Simulator",
    "Stage",
    "State",
    "Succeeded",
    "Tolerance",
    "UpdatePayment",
    "Urls",
    "Verdict",
    "base_url",
    "clean_message",
    "decimal_of",
    "dumps",
    "fill",
    "fill_nested",
    "header",
    "hookimpl",
    "json_object",
    "json_of",
    "loads",
    "media_type",
    "network",
    "one_host",
    "order_problems",
    "page_url",
    "read_amount",
    "read_answer",
    "read_id",
    "read_json",
    "read_refusal",
    "redirect_problem",
    "same",
    "secrets_of",
    "status_answer",
    "status_word",
    "unusual",
]
