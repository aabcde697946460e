import assert from "node:assert/strict";
import { test } from "node:test";

import { add, EMPTY, MAX_QUANTITY, netCents, toOrder } from "../../src/cart.js";
import { euros } from "../../src/price.js";
import { products } from "../contract.js";

test("count of a product stays between one and the limit of the catalogue", () => {
  const two = add(add(EMPTY, "mug-blue"), "mug-blue");
  assert.deepEqual([...two], [["mug-blue", 2]]);
  assert.equal(EMPTY.size, 0);
  assert.equal(add(two, "mug-blue", MAX_QUANTITY).get("mug-blue"), MAX_QUANTITY);
  assert.equal(add(two, "mug-blue", -2).size, 0);
});

test("cart costs the sum of its products", () => {
  const cart = add(add(add(EMPTY, "tea-green", 3), "mug-blue"), "gone");
  assert.equal(netCents(cart, products), 2765);
  assert.deepEqual(toOrder(add(EMPTY, "tea-green", 3)), { lines: [{ sku: "tea-green", quantity: 3 }] });
});

test("cents are shown as euros", () => {
  const cases: [number, string][] = [
    [0, "0.00 €"],
    [5, "0.05 €"],
    [99_999, "999.99 €"],
    [123_456_789, "1,234,567.89 €"],
    [-1250, "-12.50 €"],
  ];
  for (const [cents, text] of cases) assert.equal(euros(cents), text);
});
