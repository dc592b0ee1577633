"""A request as a curl command: a shell reads it back as it was."""

from __future__ import annotations

import shlex

import pytest

from gateway.core.curl import curl_command
from gateway.core.wire import HttpRequest

REQUEST = HttpRequest(
    method="POST",
    url="https://psp.example/pay?a=1&b=2",
    headers=(("Content-Type", "application/json"), ("crm-pay-token", "s3cret")),
    body=b'{"name":"O\'Neil $HOME"}',
)


def test_a_shell_reads_the_request_back() -> None:
    """Quotes, ampersands and dollar signs in address and body reach curl as they are."""
    headers = ["-H", "Content-Type: application/json", "-H", "crm-pay-token: s3cret"]
    begin = ["curl", "-i", "-X", "POST", REQUEST.url, *headers]
    assert shlex.split(curl_command(REQUEST)) == [*begin, "--data-raw", REQUEST.body.decode()]


def test_a_hidden_header_is_a_variable_of_the_shell() -> None:
    """The secret is not in the line; what is in its place is expanded, so it stands in double quotes."""
    line = curl_command(REQUEST, {"crm-pay-token"})
    assert ("s3cret" in line, '"crm-pay-token: $CRM_PAY_TOKEN"' in line) == (False, True)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe"])
def test_a_body_that_is_no_text_does_not_end_it(body: bytes) -> None:
    """Nothing is appended for an empty body; what is not UTF-8 is shown as far as it can be."""
    assert ("--data-raw" in curl_command(HttpRequest(method="GET", url="https://a.example", body=body))) is bool(body)
