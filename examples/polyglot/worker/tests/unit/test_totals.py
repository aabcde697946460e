from pathlib import Path

import pytest

from shop_worker.orders import BadOrder, Line, Order, parse
from shop_worker.totals import FREE_SHIPPING_FROM_CENTS, SHIPPING_CENTS, Totals, percent, totals

CONTRACT = Path(__file__).parents[3] / "contract" / "order.json"


def order(*lines: tuple[int, int, int]) -> Order:
    return Order(1, tuple(Line("x", quantity, cents, rate) for quantity, cents, rate in lines))


def test_order_of_the_contract_has_the_expected_totals():
    contract = parse(CONTRACT.read_bytes())
    assert contract.id == 7
    # 3 x 6.25 at 7 % and 8.90 at 19 %: 1.3125 and 1.691 of tax.
    assert totals(contract) == Totals(net_cents=2765, vat_cents=131 + 169, shipping_cents=495)
    assert totals(contract).total_cents == 3560


@pytest.mark.parametrize(("cents", "rate", "share"), [(0, 19, 0), (50, 1, 1), (49, 1, 0), (100, 7, 7), (150, 19, 29)])
def test_half_a_cent_is_rounded_up(cents, rate, share):
    assert percent(cents, rate) == share


def test_tax_is_rounded_once_per_rate():
    # Each line alone has 0.07 cents of tax, and would have none.
    assert totals(order(*[(1, 1, 7)] * 10)).vat_cents == 1


@pytest.mark.parametrize(
    ("net", "shipping"), [(FREE_SHIPPING_FROM_CENTS - 1, SHIPPING_CENTS), (FREE_SHIPPING_FROM_CENTS, 0)]
)
def test_shipping_is_free_for_large_orders(net, shipping):
    assert totals(order((1, net, 0))).shipping_cents == shipping


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"id": 1}',
        b'{"id": 1, "lines": []}',
        b'{"id": 1, "lines": [{"sku": "x"}]}',
        b'{"id": "1", "lines": [{"sku": "x", "quantity": 1, "price_cents": 1, "vat_percent": 7}]}',
        b'{"id": 1, "lines": [{"sku": "x", "quantity": true, "price_cents": 1, "vat_percent": 7}]}',
        b'{"id": 1, "lines": [{"sku": "x", "quantity": 1, "price_cents": -1, "vat_percent": 7}]}',
    ],
)
def test_invalid_order_is_an_error(message):
    with pytest.raises(BadOrder):
        parse(message)
