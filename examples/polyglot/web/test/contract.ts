/** The products that the catalogue, too, is tested against. */

import { readFileSync } from "node:fs";

import { isProducts, type Product } from "../src/api.js";

// Seen from dist/test, where this file is compiled to.
const file = new URL("../../../contract/products.json", import.meta.url);
const read: unknown = JSON.parse(readFileSync(file, "utf8"));
if (!isProducts(read)) throw new Error("contract/products.json holds no products");

export const products: readonly Product[] = read;
