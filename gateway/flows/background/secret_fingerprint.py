"""Which ``server.secret`` a store is used with: a start with another one is refused.

The store keeps a fingerprint of the first of ``server.secrets``. It is derived as credentials are, so the secret cannot
be read from it. A store without one gets it at the next start.
"""

from __future__ import annotations

from contextlib import suppress

from gateway.core.errors import SettingsError, Unavailable
from gateway.core.secret import Secret
from gateway.core.signing import derive
from gateway.drivers.settings import LocatedMessages
from gateway.drivers.store.metadata import USED_WITH, set_only
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.runtime import Gateway

NOT_THE_STORES = (
    "is not the secret that this store was last used with: callback addresses, tokens in addresses and derived"
    " credentials would be others, and providers' callbacks to the old ones be refused; put the old secret back, or"
    " list both, server.secrets: [new, old], until every provider has the new ones (docs/operating.md, Rotating"
    " secrets)"
)


def fingerprint_of(secret: Secret) -> str:
    """43 characters that show nothing of the secret."""
    return derive(secret, "fingerprint of the store's secret").reveal()


async def check_secret(gw: Gateway) -> None:
    """Refuse settings that do not list the secret which the store was last used with. Raises ``SettingsError``."""
    secrets = gw.settings.server.secrets
    known = {None, *map(fingerprint_of, secrets)}
    if any([await part.metadata.secret_fingerprint() not in known for part in gw.store.parts]):
        form = "secret" if len(secrets) == 1 else "secrets"
        raise SettingsError([LocatedMessages(gw.settings.source).at(("server", form), NOT_THE_STORES)])


async def keep_fingerprint(gw: Gateway) -> None:
    """Note in the store which secret it is used with from now on."""
    fingerprint = fingerprint_of(gw.settings.server.secret)
    with suppress(Unavailable):  # the one before is listed too, so the next start may note it as well
        for part in gw.store.parts:
            if await part.metadata.secret_fingerprint() != fingerprint:
                await part.commit(NO_TENANT, [*set_only(USED_WITH, fingerprint, gw.clock.now())])
