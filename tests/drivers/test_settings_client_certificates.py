"""Client certificates: the files of an account's ``tls``, and a real server that asks for one. Both ways out."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.core.errors import ProviderError
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.settings import Settings
from gateway.provider import Session
from tests.support.factories.senders import WAYS, opening
from tests.support.factories.settings import load, problems, with_account
from tests.support.scripted_provider import running_scripted_stack
from tests.support.servers.scripted_tcp import OK, ScriptedServer, saying, scripted_server

HOST = "localhost"
ACCOUNT = "{provider: plain, tls: {cert: tls/cert.pem, key: tls/key.pem, ca: tls/ca.pem}}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who issues the server's certificate and the client's."""
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Path:
    """The folder of the settings, with the files of a good account."""
    write(tmp_path / "tls", authority, authority.issue_cert("merchant.example"))
    return tmp_path


def write(folder: Path, authority: trustme.CA, certificate: trustme.LeafCert) -> None:
    """Write the three files."""
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    (folder / "key.pem").chmod(0o600)
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())


@pytest.fixture
async def bank(authority: trustme.CA) -> AsyncIterator[ScriptedServer]:
    """A server that answers nobody without a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with scripted_server(saying(OK), ssl=context) as server:
        yield server


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    tls = settings.tenants["acme"].accounts["main"].tls
    return None if tls is None else tls.context


async def answered(bank: ScriptedServer, way: str, tls: ssl.SSLContext | None) -> int | None:
    """The status of a call; None if there was no answer."""
    request = HttpRequest(method="POST", url=f"https://{HOST}:{bank.port}/")
    async with opening(way)() as sender:
        try:
            return (await sender.send(request, total=5, connect=5, owner="acme/main", tls=tls)).status
        except ProviderError:
            return None


@pytest.mark.parametrize("way", WAYS)
async def test_the_account_shows_its_certificate(folder: Path, bank: ScriptedServer, way: str) -> None:
    """With it the bank answers; without it, or with that of somebody else, it does not."""
    tls = tls_of(load(folder, with_account(ACCOUNT)))
    assert await answered(bank, way, tls) == 200
    write(folder / "tls", trustme.CA(), trustme.CA().issue_cert("stranger.example"))
    without_ca = tls_of(load(folder, with_account(ACCOUNT.replace(", ca: tls/ca.pem", ""))))
    assert await answered(bank, way, without_ca) is None
    assert await answered(bank, way, None) is None


async def test_a_renewed_certificate_is_read_with_the_settings(folder: Path, authority: trustme.CA) -> None:
    """Each load reads the files; accounts with the same files share what is made of them."""
    files = "{cert: tls/cert.pem, key: tls/key.pem}"
    two = f"{{provider: plain, tls: {files}}},\n    other: {{provider: plain, tls: {files}}}"
    first = load(folder, with_account(two)).tenants["acme"].accounts
    assert first["main"].tls is first["other"].tls is not None
    write(folder / "tls", authority, authority.issue_cert("merchant.example"))
    renewed = load(folder, with_account(two)).tenants["acme"].accounts["main"].tls
    assert renewed is not None
    assert renewed.context is not first["main"].tls.context
    assert renewed.fingerprint != first["main"].tls.fingerprint


def test_most_accounts_have_none(tmp_path: Path) -> None:
    """Nothing is made for them."""
    assert tls_of(load(tmp_path, with_account("{provider: plain}"))) is None


@pytest.mark.parametrize("logs_in", [False, True])
async def test_every_call_of_the_account_is_made_with_it(folder: Path, logs_in: bool) -> None:
    """Its logins too."""
    given: list[Any] = []

    def with_certificate(settings: dict[str, Any]) -> None:
        files = {name: f"tls/{name}.pem" for name in ("cert", "key")}
        settings["tenants"]["acme"]["accounts"]["outside-main"]["tls"] = files

    async with running_scripted_stack(folder, more=with_certificate) as scripted:
        if logs_in:
            scripted.provider.login = lambda _: HttpRequest(method="POST", url="https://outside.example/login")  # type: ignore[attr-defined]
            scripted.provider.parse_login = lambda *_: Session(token=Secret("t"), expires_in=9)  # type: ignore[attr-defined]
        send = scripted.stack.gateway.send

        async def noting(request: HttpRequest, **how: Any) -> HttpResponse:
            given.append(how.get("tls"))
            return await send(request, **how)

        scripted.stack.gateway.send = noting
        assert (await scripted.create()).status == 201
        entry = scripted.stack.entry("acme", "outside-main")
    assert entry.tls is not None
    assert given == [entry.tls.context] * (1 + logs_in)


ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


def spoilt(folder: Path, authority: trustme.CA, what: str) -> None:
    """Spoil the files in one way."""
    tls = folder / "tls"
    other = authority.issue_cert("other.example")
    match what:
        case "no certificate":
            (tls / "cert.pem").unlink()
        case "not PEM":
            (tls / "cert.pem").write_bytes(b"\x30\x82\x01")
        case "cut":
            (tls / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        case "expired":
            write(tls, authority, authority.issue_cert("a.example", not_before=NOW - 9 * DAY, not_after=NOW - DAY))
        case "not yet":
            write(tls, authority, authority.issue_cert("a.example", not_before=NOW + DAY, not_after=NOW + 9 * DAY))
        case "another's key":
            (tls / "key.pem").write_bytes(other.private_key_pem.bytes())
        case "a certificate as key":
            (tls / "key.pem").write_bytes((tls / "cert.pem").read_bytes())
        case "encrypted":
            (tls / "key.pem").write_text(ENCRYPTED)
        case "cut key":
            (tls / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
        case "open key":
            (tls / "key.pem").chmod(0o644)
        case "no authority":
            (tls / "ca.pem").write_text("none")
        case "cut authority":
            (tls / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")


SPOILT = {
    "no certificate": "tls.cert: file tls/cert.pem cannot be read: No such file or directory",
    "not PEM": "tls.cert: file tls/cert.pem is not a certificate in PEM form",
    "cut": "tls.cert: file tls/cert.pem holds no certificate that can be read",
    "expired": f"tls.cert: file tls/cert.pem expired on {NOW - DAY:%Y-%m-%d}",
    "not yet": f"tls.cert: file tls/cert.pem is not valid before {NOW + DAY:%Y-%m-%d}",
    "another's key": "tls.key: file tls/key.pem is not the key of the certificate in tls/cert.pem",
    "a certificate as key": "tls.key: file tls/key.pem is not a private key in PEM form",
    "encrypted": "tls.key: file tls/key.pem is encrypted: store it without a password, mode 0600",
    "cut key": "tls.key: file tls/key.pem cannot be used: ",
    "open key": "tls.key: file tls/key.pem has mode 0644, it must be 0600 or less",
    "no authority": "tls.ca: file tls/ca.pem is not a certificate in PEM form",
    "cut authority": "tls.ca: file tls/ca.pem cannot be used: ",
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_wrong_is_a_line_of_the_settings(folder: Path, authority: trustme.CA, what: str) -> None:
    """With file and line, tenant, account and the key that names the file."""
    spoilt(folder, authority, what)
    (line,) = problems(folder, with_account(ACCOUNT))
    assert line.startswith("settings.yaml:5: tenant acme: accounts.main.")
    assert SPOILT[what] in line


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ("{cert: a.pem}", "tls.key: is missing"),
        ("{cert: a.pem, key: b.pem, chain: c.pem}", 'tls.chain: unknown key "chain"; known are ca, cert, key'),
        ("yes", "tls: must be a mapping of keys"),
    ],
)
def test_its_keys_are_checked(tmp_path: Path, tls: str, said: str) -> None:
    """As all keys are."""
    (line,) = problems(tmp_path, with_account(f"{{provider: plain, tls: {tls}}}"))
    assert said in line
