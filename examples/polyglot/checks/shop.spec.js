/** The shop as its customers have it: SHOP_URL is its page, DATABASE_URL where its invoices are. */

import { execFileSync } from "node:child_process";

import { expect, test } from "@playwright/test";

/** What the worker wrote for an order, in cents; "" as long as there is nothing. */
function invoiced(order) {
  const sql = `SELECT total_cents FROM invoices WHERE order_id = ${Number(order)}`;
  const args = ["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, process.env.DATABASE_URL];
  return execFileSync("psql", args, { encoding: "utf8" }).trim();
}

test.beforeEach(async ({ page }) => {
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Shop" })).toBeVisible();
  expect(wrong).toEqual([]);
});

test("order gets an invoice", async ({ page }) => {
  const products = page.locator("#products li");
  await expect(products).toHaveCount(3);
  for (const name of ["Green tea", "Green tea", "Green tea", "Mug, blue"]) {
    await products.filter({ hasText: name }).getByRole("button", { name: "Add" }).click();
  }
  await expect(page.locator("#cart")).toContainText("3 × Green tea, 100 g");
  await expect(page.locator("#cart")).toContainText("27.65 € before tax and shipping");

  await page.getByRole("button", { name: "Order" }).click();
  await expect(page.getByRole("status")).toContainText("Your order has the number");
  await expect(page.locator("#cart")).toContainText("Your cart is empty");

  const [order] = (await page.getByRole("status").textContent()).match(/\d+/);
  await expect.poll(() => invoiced(order)).toBe("3560");
});

test("removed product is not in the cart", async ({ page }) => {
  await page.locator("#products li").first().getByRole("button", { name: "Add" }).click();
  await page.getByRole("button", { name: "Remove one" }).click();
  await expect(page.locator("#cart")).toContainText("Your cart is empty");
});
