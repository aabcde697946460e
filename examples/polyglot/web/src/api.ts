/** The catalogue's HTTP API. What comes over the wire is checked before it is believed. */

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly price_cents: number;
  readonly vat_percent: number;
}

export interface OrderRequest {
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

export interface Placed {
  readonly id: number;
  readonly net_cents: number;
}

/** The catalogue refused, or answered what it should not. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(readonly status: number, message: string) {
    super(message);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function isProduct(value: unknown): value is Product {
  return (
    isFields(value) &&
    typeof value.sku === "string" &&
    typeof value.name === "string" &&
    Number.isSafeInteger(value.price_cents) &&
    Number.isSafeInteger(value.vat_percent)
  );
}

export function isProducts(value: unknown): value is Product[] {
  return Array.isArray(value) && value.every(isProduct);
}

function isPlaced(value: unknown): value is Placed {
  return isFields(value) && Number.isSafeInteger(value.id) && Number.isSafeInteger(value.net_cents);
}

export class Catalog {
  /** `base` is such as "http://127.0.0.1:8080", or "" for the page's own server. */
  constructor(
    private readonly base: string,
    private readonly fetcher: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  products(): Promise<Product[]> {
    return this.ask("/products", undefined, isProducts);
  }

  order(order: OrderRequest): Promise<Placed> {
    const init = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(order),
    };
    return this.ask("/orders", init, isPlaced);
  }

  private async ask<T>(
    path: string,
    init: RequestInit | undefined,
    isAnswer: (value: unknown) => value is T,
  ): Promise<T> {
    const response = await this.fetcher(this.base + path, init);
    const body: unknown = await response.json().catch(() => undefined);
    if (!response.ok) {
      const said = isFields(body) && typeof body.error === "string" ? body.error : response.statusText;
      throw new ApiError(response.status, said);
    }
    if (!isAnswer(body)) throw new ApiError(response.status, `${path}: an answer of another shape`);
    return body;
  }
}
