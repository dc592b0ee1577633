"""The members of Credit Key's messages that an account can change, each object's in the order they are written."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

import gateway

ITEMS_AT, CHARGES_AT = "order.items[]", "order.charges"
BILLING_AT, SHIPPING_AT = "order.billing_address", "order.shipping_address"
"""Places of the objects inside a body."""

NOTIFICATION = {
    "contact_method": gateway.FieldRule(locked=True, meaning="how the customer is notified: email or phone"),
    "cc_rep": gateway.FieldRule(locked=True, meaning="true when the sales representative is notified as well"),
    "csr": gateway.FieldRule(locked=True, meaning="e-mail address of the sales representative"),
    "response": gateway.FieldRule(locked=True, meaning="reserved by Credit Key, never sent"),
}
"""The members of ``merchant_data`` that have a meaning to Credit Key."""

ITEM = {
    "merchant_id": gateway.FieldRule(mandatory=True, meaning="the tenant's own id of the article"),
    "name": gateway.FieldRule(mandatory=True, meaning="what the customer reads"),
    "price": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="for one unit, in dollars"),
    "sku": gateway.FieldRule(meaning="the stock-keeping unit"),
    "quantity": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="how many units"),
    "size": gateway.FieldRule(meaning="the size"),
    "color": gateway.FieldRule(meaning="the color"),
}
CHARGES = {
    "total": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="the sum of the items"),
    "shipping": gateway.FieldRule(type="number", meaning="the cost of shipping"),
    "tax": gateway.FieldRule(type="number", meaning="the tax"),
    "discount_amount": gateway.FieldRule(type="number", meaning="what is taken off"),
    "grand_total": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="the payment's amount"),
}
ADDRESS = {
    "first_name": gateway.FieldRule(meaning="first name"),
    "last_name": gateway.FieldRule(meaning="last name"),
    "company_name": gateway.FieldRule(meaning="the company"),
    "email": gateway.FieldRule(meaning="e-mail address; of the billing address, where the link is sent"),
    "address1": gateway.FieldRule(meaning="street and number"),
    "address2": gateway.FieldRule(meaning="what else the street's line needs"),
    "city": gateway.FieldRule(meaning="city"),
    "state": gateway.FieldRule(meaning="two-letter code of the state"),
    "zip": gateway.FieldRule(meaning="postal code"),
    "phone_number": gateway.FieldRule(meaning="telephone number; of the billing address, where the link is sent"),
}

_OBJECTS = {
    ITEMS_AT: ("cart_items[]", ITEM),
    CHARGES_AT: ("charges", CHARGES),
    BILLING_AT: ("billing_address", ADDRESS),
    SHIPPING_AT: ("shipping_address", ADDRESS),
}
FIELDS: Mapping[str, gateway.FieldRule] = {
    **NOTIFICATION,
    **{
        f"{place}.{name}": replace(rule, inside=inside)
        for place, (inside, members) in _OBJECTS.items()
        for name, rule in members.items()
    },
}
