"""What a provider declares: secrets that are typed as text, or are given out as text; samples that are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec

from gateway.core.facts import Observation
from gateway.core.secret import Secret
from gateway.testing.calls import Call
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.common import PURITY
from gateway.testing.recipes import COMMANDS, command_name, command_of
from gateway.testing.subject import Subject

_SECRET_NAME = re.compile(r"(?:.*_)?(?:key|secret|token|password|passphrase|pin)")
_PUBLIC_NAME = re.compile(r".*(?:public|publishable).*")

AT_START = ("prepare", "rules", "credentials")
"""Members that are called when settings are loaded: they may take their time, and touch nothing either."""

JUDGES: Mapping[str, Judge] = {}


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield what is plain without a call, and the members that are called at the start."""
    for member in AT_START:
        if hasattr(subject.provider, member):
            rules = tuple(rule for rule in PURITY if rule != "slow")
            yield Case(rules, (Call(member=member, account=subject.label),))
    yield from _secrets_as_text(subject)
    yield from _credentials(subject)
    yield from _missing_samples(subject)


def _secrets_as_text(subject: Subject) -> Iterator[Found]:
    for field in msgspec.structs.fields(subject.provider.account_type):
        kinds = (field.type, *get_args(field.type))
        is_secret = _SECRET_NAME.fullmatch(field.name.lower()) and not _PUBLIC_NAME.fullmatch(field.name.lower())
        if is_secret and str in kinds and Secret not in kinds:
            kind = subject.provider.account_type.__name__
            yield Found("secret-as-text", f"{kind}.{field.name} is a text: settings and logs would show it")


def _credentials(subject: Subject) -> Iterator[Found]:
    for name, value in subject.entries[subject.label].credentials.items():
        if isinstance(value, str) and subject.mask.holds(value):
            message = f'credentials()["{name}"] shows a secret as text, which GET /v1/accounts makes public'
            yield Found("credentials-show-secret", message)


def _takes_no_call(subject: Subject, name: str) -> bool:
    """Whether a create is a page that the customer's browser posts to: nothing is sent, so nothing is answered."""
    if name != "CreatePayment":
        return False
    try:
        made = subject.provider.build(
            command_of(subject.recipe(name, subject.moneys[0])), subject.account(subject.label)
        )
    except Exception:  # a build that fails has a rule of its own
        return False
    return isinstance(made, Observation)


def _missing_samples(subject: Subject) -> Iterator[Found]:
    answered = {command_name(reply.command) for reply in subject.samples.replies}
    missing = [name for name in subject.commands if name not in answered and not _takes_no_call(subject, name)]
    unknown = [name for name in answered if name in COMMANDS and name not in subject.commands]
    if unknown:
        yield Found(
            "samples", f"there are replies to {', '.join(map(str, unknown))}, which the provider does not declare"
        )
    if missing:
        yield Found("samples", f"no reply is known to {', '.join(missing)}: what parse makes of them is not checked")
