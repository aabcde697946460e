"""Takes orders from the list, one at a time, so that none is lost when the worker is killed."""

import sys

import redis

from .invoices import Invoices
from .orders import BadOrder, parse


class Worker:
    """An order is moved to `LIST:processing` while it is worked on, and back at the next start. What
    is no order ends on `LIST:failed`, where somebody can look at it."""

    def __init__(self, queue: redis.Redis, invoices: Invoices, orders: str = "orders") -> None:
        self.queue = queue
        self.invoices = invoices
        self.orders = orders
        self.processing = f"{orders}:processing"
        self.failed = f"{orders}:failed"

    def recover(self) -> None:
        """Puts back what a killed worker had taken. If another worker has it after all, the order
        is worked on twice and has one invoice."""
        while self.queue.lmove(self.processing, self.orders, "LEFT", "RIGHT") is not None:
            pass

    def step(self, timeout: float) -> bool:
        """Works on the oldest order; False if none came within `timeout` seconds."""
        message = self.queue.blmove(self.orders, self.processing, timeout, "RIGHT", "LEFT")
        if message is None:
            return False
        try:
            order = parse(message)
            written = self.invoices.write(order)
            print(f"order {order.id}: {'invoiced' if written else 'had its invoice'}", flush=True)
        except BadOrder as error:
            print(f"{error}: {message!r}", file=sys.stderr, flush=True)
            self.queue.lpush(self.failed, message)
        self.queue.lrem(self.processing, 1, message)
        return True
