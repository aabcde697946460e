CREATE TABLE orders (id bigserial PRIMARY KEY, done_by text);
