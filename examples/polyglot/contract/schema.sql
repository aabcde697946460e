-- The shop's tables. The catalogue and the worker both apply this file when they start, so whichever
-- comes first makes them; the lock keeps two that start at once from making a table twice.
SELECT pg_advisory_xact_lock(20240517);

CREATE TABLE IF NOT EXISTS products (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    vat_percent integer NOT NULL CHECK (vat_percent BETWEEN 0 AND 100)
);

CREATE TABLE IF NOT EXISTS orders (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    placed_at timestamptz NOT NULL DEFAULT now(),
    -- False until the order is on the Redis list, so that none is lost while Redis is away.
    queued    boolean NOT NULL DEFAULT false
);

-- Prices are kept as they were when the order was placed.
CREATE TABLE IF NOT EXISTS order_lines (
    order_id    bigint NOT NULL REFERENCES orders,
    position    integer NOT NULL,
    sku         text NOT NULL REFERENCES products,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    price_cents bigint NOT NULL,
    vat_percent integer NOT NULL,
    PRIMARY KEY (order_id, position)
);

CREATE TABLE IF NOT EXISTS invoices (
    order_id       bigint PRIMARY KEY REFERENCES orders,
    net_cents      bigint NOT NULL,
    vat_cents      bigint NOT NULL,
    shipping_cents bigint NOT NULL,
    total_cents    bigint NOT NULL
);

INSERT INTO products (sku, name, price_cents, vat_percent) VALUES
    ('coffee-beans', 'Coffee beans, 500 g', 1150, 7),
    ('mug-blue', 'Mug, blue', 890, 19),
    ('tea-green', 'Green tea, 100 g', 625, 7)
ON CONFLICT (sku) DO NOTHING;
