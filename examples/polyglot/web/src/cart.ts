/** The cart: SKU to quantity. It is never changed in place, so a page can compare old and new. */

import type { OrderRequest, Product } from "./api.js";

export type Cart = ReadonlyMap<string, number>;

export const EMPTY: Cart = new Map();

/** As many pieces of one product as the catalogue takes. */
export const MAX_QUANTITY = 1000;

/** The cart with `quantity` pieces more of a product, or fewer. */
export function add(cart: Cart, sku: string, quantity = 1): Cart {
  const next = new Map(cart);
  const sum = Math.min((next.get(sku) ?? 0) + quantity, MAX_QUANTITY);
  if (sum > 0) next.set(sku, sum);
  else next.delete(sku);
  return next;
}

/** What the cart costs before tax and shipping; products that are gone cost nothing. */
export function netCents(cart: Cart, products: readonly Product[]): number {
  return products.reduce((sum, product) => sum + product.price_cents * (cart.get(product.sku) ?? 0), 0);
}

/** The cart as the catalogue's `POST /orders` takes it. */
export function toOrder(cart: Cart): OrderRequest {
  return { lines: [...cart].map(([sku, quantity]) => ({ sku, quantity })) };
}
