"""python3 -m shop_worker: works until SIGTERM or SIGINT; with --drain, until the list is empty."""

import os
import signal
import sys

import redis

from .invoices import Invoices
from .worker import Worker


def needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        sys.exit(f"worker: {name} is not set")
    return value


def main() -> None:
    drain = sys.argv[1:] == ["--drain"]
    if sys.argv[1:] and not drain:
        sys.exit(__doc__)
    invoices = Invoices(needed("DATABASE_URL"))
    queue = redis.Redis.from_url(needed("REDIS_URL"))
    worker = Worker(queue, invoices, os.environ.get("ORDERS_LIST", "orders"))

    stopping = False

    def stop(*_: object) -> None:
        # The order at hand is finished first.
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    worker.recover()
    print("waiting for orders", flush=True)
    while not stopping:
        if not worker.step(timeout=0.1 if drain else 1.0) and drain:
            break
    invoices.close()


if __name__ == "__main__":
    main()
