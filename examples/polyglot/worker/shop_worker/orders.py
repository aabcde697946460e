"""Orders as they lie on the list. Pure: it knows no Redis."""

import json
from dataclasses import dataclass


class BadOrder(ValueError):
    """A message that is no order."""


@dataclass(frozen=True)
class Line:
    sku: str
    quantity: int
    price_cents: int
    vat_percent: int


@dataclass(frozen=True)
class Order:
    id: int
    lines: tuple[Line, ...]


def parse(message: bytes | str) -> Order:
    """Reads an order; see contract/order.json."""
    try:
        raw = json.loads(message)
        lines = tuple(Line(**line) for line in raw["lines"])
        order = Order(id=raw["id"], lines=lines)
    except (ValueError, KeyError, TypeError) as error:
        raise BadOrder(f"not an order: {error!r}") from error
    numbers = [order.id]
    for line in lines:
        numbers += [line.quantity, line.price_cents, line.vat_percent]
    # A bool is an int to Python, but not to the contract.
    if not lines or any(type(number) is not int or number < 0 for number in numbers):
        raise BadOrder("not an order: it has no lines, or a number that is none")
    return order
