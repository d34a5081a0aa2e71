"""Reads the line items of a Checkout Session, priced in place; see https://docs.stripe.com/api/checkout/sessions/create."""

from emulators.payments.stripe.currencies import MOST, currency
from emulators.payments.stripe.errors import Json, Refusal, missing, not_found, unsupported
from emulators.payments.stripe.forms import Fields
from emulators.payments.stripe.ids import new_id

ITEM = ("adjustable_quantity", "metadata", "price", "price_data", "quantity", "tax_rates")
PRICE = ("currency", "product", "product_data", "recurring", "tax_behavior", "unit_amount", "unit_amount_decimal")
PRODUCT = ("description", "images", "metadata", "name", "tax_code", "tax_details", "unit_label")
ITEM_NOT_HERE = ("adjustable_quantity", "tax_rates")
PRICE_NOT_HERE = ("recurring", "unit_amount_decimal")


def read(fields: Fields, created: int) -> list[Json]:
    given = fields.items("line_items")
    if not given:
        raise missing("line_items")
    items = [_item(item, created) for item in given]
    if len({item["currency"] for item in items}) > 1:
        raise Refusal("All line items must have the same currency.", param="line_items")
    return items


def _refuse(fields: Fields, names: tuple[str, ...], what: str) -> None:
    for name in names:
        if fields.has(name):
            raise unsupported(fields.name(name), f"{what} with `{name}`")


def _item(fields: Fields, created: int) -> Json:
    fields.only(*ITEM)
    _refuse(fields, ITEM_NOT_HERE, "line items")
    if (price_id := fields.text("price")) is not None:
        raise not_found("price", price_id, fields.name("price"), status=400)
    price_data = fields.nested("price_data")
    if price_data is None:
        raise missing(fields.name("price_data"))
    price, name = _price(price_data, created)
    quantity = fields.integer("quantity", least=1, most=999_999)
    if quantity is None:
        raise Refusal(f"Quantity is required. Add `quantity` to `{fields.path}`", param=fields.path)
    total = price["unit_amount"] * quantity
    return {
        "id": new_id("li_"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": name,
        "metadata": fields.metadata(),
        "price": price,
        "quantity": quantity,
    }


def _price(fields: Fields, created: int) -> tuple[Json, str]:
    fields.only(*PRICE)
    _refuse(fields, PRICE_NOT_HERE, "prices")
    code = currency(fields)
    unit_amount = fields.integer("unit_amount", least=0, most=MOST)
    if unit_amount is None:
        raise missing(fields.name("unit_amount"))
    if (product_id := fields.text("product")) is not None:
        raise not_found("product", product_id, fields.name("product"), status=400)
    product = fields.nested("product_data")
    if product is None:
        raise missing(fields.name("product_data"))
    product.only(*PRODUCT)
    product.metadata()
    price: Json = {
        "id": new_id("price_"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": code,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod_"),
        "recurring": None,
        "tax_behavior": fields.text("tax_behavior") or "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }
    return price, product.need_text("name")
