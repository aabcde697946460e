"""Against a real PostgreSQL and Redis, which DATABASE_URL and REDIS_URL name. Each test has a
database and a list of its own, so they may run beside any others."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from shop_worker.invoices import Invoices
from shop_worker.worker import Worker

WORKER = Path(__file__).parents[2]
CONTRACT = WORKER.parent / "contract" / "order.json"


def needed(name):
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: these tests need a running PostgreSQL and Redis, see README.md")
    return value


class Shop:
    def __init__(self, database_url, queue, orders):
        self.database_url = database_url
        self.queue = queue
        self.orders = orders
        self.invoices = Invoices(database_url)
        self.worker = Worker(queue, self.invoices, orders)

    def sql(self, query, *values):
        with self.invoices.connection, self.invoices.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def place(self):
        """Puts the contract's order on the list, as the catalogue does."""
        [[number]] = self.sql("INSERT INTO orders (queued) VALUES (true) RETURNING id")
        message = json.dumps({**json.loads(CONTRACT.read_bytes()), "id": number})
        self.queue.lpush(self.orders, message)
        return message

    def invoiced(self):
        return self.sql("SELECT * FROM invoices ORDER BY order_id")

    def lists(self):
        names = ["", ":processing", ":failed"]
        return [self.queue.llen(self.orders + name) for name in names]


@pytest.fixture
def shop():
    name = f"worker_test_{uuid.uuid4().hex}"
    url = needed("DATABASE_URL")
    queue = redis.Redis.from_url(needed("REDIS_URL"))
    admin = psycopg2.connect(url)
    # CREATE DATABASE can't be part of a transaction.
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        shop = Shop(urlsplit(url)._replace(path=f"/{name}").geturl(), queue, name)
        yield shop
        shop.invoices.close()
        queue.delete(name, f"{name}:processing", f"{name}:failed")
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


def test_order_gets_an_invoice(shop):
    shop.place()
    assert shop.worker.step(timeout=1)
    assert shop.invoiced() == [(1, 2765, 300, 495, 3560)]
    assert shop.lists() == [0, 0, 0]


def test_duplicate_order_gets_one_invoice(shop):
    shop.queue.lpush(shop.orders, shop.place())
    assert shop.worker.step(timeout=1)
    assert shop.worker.step(timeout=1)
    assert [row[0] for row in shop.invoiced()] == [1]


def test_invalid_order_is_set_aside(shop):
    unknown = json.dumps({**json.loads(CONTRACT.read_bytes()), "id": 99})
    shop.queue.lpush(shop.orders, "nonsense", unknown)
    shop.place()
    while shop.worker.step(timeout=0.1):
        pass
    assert [row[0] for row in shop.invoiced()] == [1]
    assert shop.lists() == [0, 0, 2]


def test_order_of_a_killed_worker_is_not_lost(shop):
    shop.place()
    shop.queue.lmove(shop.orders, shop.orders + ":processing", "RIGHT", "LEFT")
    shop.worker.recover()
    assert shop.worker.step(timeout=1)
    assert [row[0] for row in shop.invoiced()] == [1]
    assert shop.lists() == [0, 0, 0]


def test_worker_runs_until_the_queue_is_empty(shop):
    for _ in range(3):
        shop.place()
    env = {**os.environ, "DATABASE_URL": shop.database_url, "ORDERS_LIST": shop.orders}
    program = [sys.executable, "-m", "shop_worker", "--drain"]
    run = subprocess.run(program, cwd=WORKER, env=env, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert [row[0] for row in shop.invoiced()] == [1, 2, 3]
