"""Payments that wait for their customers, as this process wrote them last.

The first callback about one is evaluated on this and reads nothing. Like every read it may be out of date: what follows
from it is committed only if the row still has the same revision.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.core import documents
from gateway.core.payment import Payment

MAX_BYTES = 32 * 1024 * 1024
"""The size of all documents together: room for about forty thousand payments of the usual size."""


class RecentPayments:
    """Payments without an open operation, the one written last at the end."""

    def __init__(self, most: int = MAX_BYTES) -> None:
        self._most = most
        self._bytes = 0
        # A text takes a third of what the payment would. A dict would walk over all it lost to find its oldest.
        self._documents: OrderedDict[tuple[str, str], str] = OrderedDict()

    def note(self, payment: Payment) -> None:
        """Keep a payment as it was just written; where there is no room the oldest are forgotten."""
        self.forget(payment.tenant, payment.id)
        document = documents.encode(payment)
        self._documents[payment.tenant, payment.id] = document
        self._bytes += len(document)
        while self._bytes > self._most:
            self._bytes -= len(self._documents.popitem(last=False)[1])

    def forget(self, tenant: str, payment_id: str) -> None:
        """Forget a payment that has changed, or whose customer is erased."""
        self._bytes -= len(self._documents.pop((tenant, payment_id), ""))

    def find(self, tenant: str, payment_id: str) -> Payment | None:
        """A payment, if it is remembered."""
        document = self._documents.get((tenant, payment_id))
        return None if document is None else documents.payment(document)
