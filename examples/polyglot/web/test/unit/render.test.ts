import assert from "node:assert/strict";
import { test } from "node:test";

import { add, EMPTY } from "../../src/cart.js";
import { escape, renderCart, renderProducts } from "../../src/render.js";
import { products } from "../contract.js";

test("each product has its price and a button", () => {
  const html = renderProducts(products);
  assert.equal(html.match(/<li>/g)?.length, products.length);
  assert.match(html, /Mug, blue<\/span> <span>8\.90 €<\/span> <button data-add="mug-blue">/);
  assert.match(renderProducts([]), /nothing to buy/);
});

test("cart shows its lines and their sum", () => {
  assert.match(renderCart(EMPTY, products), /empty/);
  const html = renderCart(add(add(EMPTY, "tea-green", 3), "mug-blue"), products);
  assert.match(html, /3 × Green tea, 100 g<\/span> <span>18\.75 €/);
  assert.match(html, /27\.65 € before tax/);
});

test("markup in a name is escaped", () => {
  assert.equal(escape(`<a b='c' d="e">&`), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
  const evil = { sku: '"><script>', name: "<script>", price_cents: 1, vat_percent: 7 };
  assert.doesNotMatch(renderProducts([evil]), /<script>/);
  assert.doesNotMatch(renderCart(add(EMPTY, evil.sku), [evil]), /<script>/);
});
