/** Against the running catalogue that CATALOG_URL names. It starts nothing itself. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, Catalog } from "../../src/api.js";
import { add, EMPTY, netCents, toOrder } from "../../src/cart.js";
import { renderProducts } from "../../src/render.js";
import { products as contract } from "../contract.js";

const url = process.env["CATALOG_URL"];
if (!url) throw new Error("CATALOG_URL is not set: this test needs a running catalogue, see README.md");
const catalog = new Catalog(url);

test("products of the catalogue are shown", async () => {
  const products = await catalog.products();
  assert.deepEqual(products, contract);
  assert.match(renderProducts(products), /Green tea/);
});

test("ordered cart has the price that was shown", async () => {
  const products = await catalog.products();
  const cart = add(add(EMPTY, "tea-green", 3), "mug-blue");
  const placed = await catalog.order(toOrder(cart));
  assert.ok(placed.id > 0);
  assert.equal(placed.net_cents, netCents(cart, products));
});

test("refused order shows the reason", async () => {
  await assert.rejects(catalog.order(toOrder(EMPTY)), new ApiError(422, "an order needs at least one line"));
});
