import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, Catalog } from "../../src/api.js";
import { products } from "../contract.js";

/** A catalogue that always answers the same, and what it was asked. */
function answering(status: number, body: string) {
  const asked: { url: string; init: RequestInit | undefined }[] = [];
  const catalog = new Catalog("http://shop", async (input, init) => {
    asked.push({ url: String(input), init });
    return new Response(body, { status, statusText: "as it says" });
  });
  return { catalog, asked };
}

test("products of the contract are parsed", async () => {
  const { catalog, asked } = answering(200, JSON.stringify(products));
  assert.deepEqual(await catalog.products(), products);
  assert.equal(asked[0]?.url, "http://shop/products");
});

test("order is sent as JSON", async () => {
  const { catalog, asked } = answering(201, '{"id": 7, "net_cents": 2765}');
  const order = { lines: [{ sku: "tea-green", quantity: 3 }] };
  assert.deepEqual(await catalog.order(order), { id: 7, net_cents: 2765 });
  assert.equal(asked[0]?.init?.method, "POST");
  assert.deepEqual(JSON.parse(String(asked[0]?.init?.body)), order);
});

test("refusal has the message of the catalogue", async () => {
  const refused = answering(422, '{"error": "there is no product x"}').catalog.order({ lines: [] });
  await assert.rejects(refused, new ApiError(422, "there is no product x"));
  await assert.rejects(answering(502, "<html>").catalog.products(), new ApiError(502, "as it says"));
});

test("invalid response is an error", async () => {
  for (const body of ["", "{}", '[{"sku": "x"}]', '[{"sku":"x","name":"x","price_cents":0.5,"vat_percent":7}]']) {
    await assert.rejects(answering(200, body).catalog.products(), /another shape/, body);
  }
});
