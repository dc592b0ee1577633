"""The client certificate of an account (``tls``): its PEM files, read and checked with the settings.

What is wrong is said of the key that names the file, so that ``gateway check`` prints file and line of the settings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from datetime import UTC, datetime

from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.regular_file import read_regular
from gateway.drivers.settings.schema import TlsShape
from gateway.drivers.settings.secrets import text_of_file
from gateway.drivers.tls import ClientTls, verifying

MAX_FILE_BYTES = 1024 * 1024
"""Of certificates: a bundle of authorities is the largest."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
_TIME_FORMATS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""UTCTime and GeneralizedTime (RFC 5280)."""


class BadCertificate(ValueError):
    """``member`` is the key of ``tls`` that names the file; the text follows it."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(problem)
        self.member = member


def client_tls(files: TlsShape, context: LoadContext, now: datetime) -> ClientTls:
    """What an account's calls speak TLS with. Raises ``BadCertificate``."""
    certificates = _certificates("cert", files.cert, context)
    _check_validity(files.cert, certificates, now)
    _check_key(files.key, context)
    authorities = None if files.ca is None else _certificates("ca", files.ca, context)
    try:
        made = verifying(authorities)
    except ssl.SSLError as problem:
        raise BadCertificate("ca", f"file {files.ca} cannot be used: {problem.reason}") from None
    try:
        made.load_cert_chain(context.folder / files.cert, context.folder / files.key, password=_none)
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            raise BadCertificate("key", f"file {files.key} is not the key of the certificate in {files.cert}") from None
        raise BadCertificate("key", f"file {files.key} cannot be used: {problem.reason}") from None
    texts = (certificates, authorities or "")
    return ClientTls(context=made, fingerprint=hashlib.sha256("\0".join(texts).encode()).hexdigest())


def _none() -> str:
    """The password of a key that has none: OpenSSL would ask at the terminal."""
    return ""


def _certificates(member: str, name: str, context: LoadContext) -> str:
    try:
        text = read_regular(context.folder / name, most=MAX_FILE_BYTES).data.decode()
    except OSError as error:
        raise BadCertificate(member, f"file {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadCertificate(member, f"file {name} is not a certificate in PEM form") from None
    except ValueError as error:
        raise BadCertificate(member, f"file {name} {error}") from None
    if _CERTIFICATE.search(text) is None:
        raise BadCertificate(member, f"file {name} is not a certificate in PEM form")
    return text


def _check_key(name: str, context: LoadContext) -> None:
    try:
        text = text_of_file(name, context)
    except ValueError as problem:
        raise BadCertificate("key", str(problem)) from None
    if _ENCRYPTED.search(text) is not None:
        raise BadCertificate("key", f"file {name} is encrypted: store it without a password, mode 0600")
    if _KEY.search(text) is None:
        raise BadCertificate("key", f"file {name} is not a private key in PEM form")


def _check_validity(name: str, text: str, now: datetime) -> None:
    """The first certificate is the account's; what may follow it are the ones it was issued by."""
    try:
        begins, ends = _validity(text)
    except (ValueError, IndexError, KeyError):
        raise BadCertificate("cert", f"file {name} holds no certificate that can be read") from None
    if now >= ends:
        raise BadCertificate("cert", f"file {name} expired on {ends:%Y-%m-%d}")
    if now < begins:
        raise BadCertificate("cert", f"file {name} is not valid before {begins:%Y-%m-%d}")


def _validity(text: str) -> tuple[datetime, datetime]:
    """From when until when the first certificate of a PEM file is valid. Source: RFC 5280, section 4.1."""
    found = _CERTIFICATE.search(text)
    try:
        data = base64.b64decode("".join(found[1].split()) if found else "", validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    certificate = _parts(_parts(data)[0][1])
    members = _parts(certificate[0][1])
    after_version = members[1:] if members[0][0] == 0xA0 else members
    begins, ends = _parts(after_version[3][1])[:2]  # after the serial number, the algorithm and the issuer
    return _time(*begins), _time(*ends)


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The values in DER, each with its tag."""
    found = []
    while data:
        length, start = data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        found.append((data[0], data[start : start + length]))
        data = data[start + length :]
    return found


def _time(tag: int, data: bytes) -> datetime:
    return datetime.strptime(data.decode("ascii"), _TIME_FORMATS[tag]).replace(tzinfo=UTC)
