/** The page's HTML, as text: it can be tested without a browser. */

import type { Product } from "./api.js";
import { type Cart, netCents } from "./cart.js";
import { euros } from "./price.js";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text that is safe in an element and in a quoted attribute. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

export function renderProducts(products: readonly Product[]): string {
  if (products.length === 0) return "<p>There is nothing to buy today.</p>";
  const items = products.map(
    ({ sku, name, price_cents }) =>
      `<li><span class="name">${escape(name)}</span> <span>${euros(price_cents)}</span> ` +
      `<button data-add="${escape(sku)}">Add</button></li>`,
  );
  return `<ul>${items.join("")}</ul>`;
}

export function renderCart(cart: Cart, products: readonly Product[]): string {
  const chosen = products.filter(({ sku }) => cart.has(sku));
  if (chosen.length === 0) return "<p>Your cart is empty.</p>";
  const items = chosen.map(({ sku, name, price_cents }) => {
    const quantity = cart.get(sku) ?? 0;
    return (
      `<li><span class="name">${quantity} × ${escape(name)}</span> ` +
      `<span>${euros(quantity * price_cents)}</span> ` +
      `<button data-remove="${escape(sku)}">Remove one</button></li>`
    );
  });
  return (
    `<ul>${items.join("")}</ul><p>${euros(netCents(cart, products))} before tax and shipping ` +
    `<button data-order>Order</button></p>`
  );
}
