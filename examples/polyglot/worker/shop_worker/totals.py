"""What an order costs. Pure: whole cents in, whole cents out, no floating point."""

from collections import defaultdict
from dataclasses import dataclass

from .orders import Order

# Shipping is charged with its tax in it; it is free from this net amount on.
SHIPPING_CENTS = 495
FREE_SHIPPING_FROM_CENTS = 5000


@dataclass(frozen=True)
class Totals:
    net_cents: int
    vat_cents: int
    shipping_cents: int

    @property
    def total_cents(self) -> int:
        return self.net_cents + self.vat_cents + self.shipping_cents


def percent(cents: int, rate: int) -> int:
    """A share of an amount, half a cent rounded up."""
    return (cents * rate + 50) // 100


def totals(order: Order) -> Totals:
    """Tax is rounded once for each rate, as the invoice shows it, not once for each line."""
    net_by_rate: defaultdict[int, int] = defaultdict(int)
    for line in order.lines:
        net_by_rate[line.vat_percent] += line.quantity * line.price_cents
    net = sum(net_by_rate.values())
    return Totals(
        net_cents=net,
        vat_cents=sum(percent(cents, rate) for rate, cents in net_by_rate.items()),
        shipping_cents=0 if net >= FREE_SHIPPING_FROM_CENTS else SHIPPING_CENTS,
    )
