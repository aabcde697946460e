"""Invoices in PostgreSQL."""

from pathlib import Path

import psycopg2
from psycopg2.errors import ForeignKeyViolation

from .orders import BadOrder, Order
from .totals import totals

SCHEMA = Path(__file__).parents[2] / "contract" / "schema.sql"


class Invoices:
    def __init__(self, url: str) -> None:
        self.connection = psycopg2.connect(url)
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(SCHEMA.read_text(encoding="utf-8"))

    def write(self, order: Order) -> bool:
        """Writes the order's invoice; False if it was there, as an order may come twice."""
        sums = totals(order)
        try:
            with self.connection, self.connection.cursor() as cursor:
                cursor.execute(
                    """INSERT INTO invoices (order_id, net_cents, vat_cents, shipping_cents, total_cents)
                       VALUES (%s, %s, %s, %s, %s) ON CONFLICT (order_id) DO NOTHING""",
                    (order.id, sums.net_cents, sums.vat_cents, sums.shipping_cents, sums.total_cents),
                )
                return cursor.rowcount == 1
        except ForeignKeyViolation as error:
            raise BadOrder(f"there is no order {order.id}") from error

    def close(self) -> None:
        self.connection.close()
