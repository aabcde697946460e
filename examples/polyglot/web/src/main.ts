/** The page: the only file that knows a browser. */

import { Catalog } from "./api.js";
import { add, EMPTY, toOrder } from "./cart.js";
import { renderCart, renderProducts } from "./render.js";

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

function say(text: string): void {
  element("message").textContent = text;
}

async function start(): Promise<void> {
  const catalog = new Catalog("");
  const products = await catalog.products();
  let cart = EMPTY;
  const draw = () => {
    element("cart").innerHTML = renderCart(cart, products);
  };

  async function click(button: HTMLElement): Promise<void> {
    if (button.dataset.add !== undefined) cart = add(cart, button.dataset.add);
    if (button.dataset.remove !== undefined) cart = add(cart, button.dataset.remove, -1);
    if (button.dataset.order !== undefined) {
      const ordered = cart;
      // Empty at once, so that a second click orders nothing.
      cart = EMPTY;
      draw();
      try {
        const { id } = await catalog.order(toOrder(ordered));
        say(`Thank you. Your order has the number ${id}.`);
      } catch (error) {
        cart = ordered;
        say(String(error));
      }
    }
    draw();
  }

  element("products").innerHTML = renderProducts(products);
  draw();
  document.addEventListener("click", (event) => {
    if (event.target instanceof HTMLButtonElement) void click(event.target);
  });
}

start().catch((error: unknown) => say(String(error)));
