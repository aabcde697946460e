//! Products, orders and prices. Pure: it knows neither HTTP nor a database.

use std::fmt;

use serde::{Deserialize, Serialize};

/// As many lines as an order may have.
pub const MAX_LINES: usize = 100;
/// As many pieces as one line may order.
pub const MAX_QUANTITY: i64 = 1_000;

/// What can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub sku: String,
    pub name: String,
    pub price_cents: i64,
    pub vat_percent: i32,
}

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub lines: Vec<RequestLine>,
}

/// One product of a request. It names no price: prices are the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestLine {
    pub sku: String,
    pub quantity: i64,
}

/// An order that was placed, as the worker gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: i64,
    pub lines: Vec<Line>,
}

/// One product of an order, at the price of that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sku: String,
    pub quantity: i64,
    pub price_cents: i64,
    pub vat_percent: i32,
}

/// Why a request is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotARequest(String),
    NoLines,
    TooManyLines,
    Quantity { sku: String, quantity: i64 },
    Twice(String),
    Unknown(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest(why) => write!(f, "not an order: {why}"),
            Self::NoLines => write!(f, "an order needs at least one line"),
            Self::TooManyLines => write!(f, "an order has at most {MAX_LINES} lines"),
            Self::Quantity { sku, quantity } => {
                write!(f, "{quantity} of {sku}: a quantity is from 1 to {MAX_QUANTITY}")
            }
            Self::Twice(sku) => write!(f, "{sku} is in two lines"),
            Self::Unknown(sku) => write!(f, "there is no product {sku}"),
        }
    }
}

/// Reads a request.
pub fn parse(body: &[u8]) -> Result<Request, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::NotARequest(error.to_string()))
}

/// The lines of an order at the prices of `products`.
pub fn price(request: &Request, products: &[Product]) -> Result<Vec<Line>, Refusal> {
    if request.lines.is_empty() {
        return Err(Refusal::NoLines);
    }
    if request.lines.len() > MAX_LINES {
        return Err(Refusal::TooManyLines);
    }
    let mut lines: Vec<Line> = Vec::with_capacity(request.lines.len());
    for RequestLine { sku, quantity } in &request.lines {
        if !(1..=MAX_QUANTITY).contains(quantity) {
            return Err(Refusal::Quantity { sku: sku.clone(), quantity: *quantity });
        }
        if lines.iter().any(|line| line.sku == *sku) {
            return Err(Refusal::Twice(sku.clone()));
        }
        let product = products.iter().find(|product| product.sku == *sku);
        let product = product.ok_or_else(|| Refusal::Unknown(sku.clone()))?;
        lines.push(Line {
            sku: sku.clone(),
            quantity: *quantity,
            price_cents: product.price_cents,
            vat_percent: product.vat_percent,
        });
    }
    Ok(lines)
}

/// What the lines cost before tax and shipping, which the worker adds.
pub fn net_cents(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.quantity * line.price_cents).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products() -> Vec<Product> {
        serde_json::from_str(include_str!("../../contract/products.json")).unwrap()
    }

    fn priced(body: &str) -> Result<Vec<Line>, Refusal> {
        price(&parse(body.as_bytes())?, &products())
    }

    #[test]
    fn order_has_the_prices_of_the_catalogue() {
        let lines =
            priced(r#"{"lines": [{"sku": "tea-green", "quantity": 3}, {"sku": "mug-blue", "quantity": 1}]}"#)
                .unwrap();
        assert_eq!(net_cents(&lines), 3 * 625 + 890);
        let order = serde_json::to_value(Order { id: 7, lines }).unwrap();
        let contract: serde_json::Value =
            serde_json::from_str(include_str!("../../contract/order.json")).unwrap();
        assert_eq!(order, contract);
    }

    #[test]
    fn invalid_order_is_refused() {
        let line = |sku: &str, quantity: i64| format!(r#"{{"sku": "{sku}", "quantity": {quantity}}}"#);
        let order = |lines: &[String]| priced(&format!(r#"{{"lines": [{}]}}"#, lines.join(",")));
        assert_eq!(order(&[]), Err(Refusal::NoLines));
        assert_eq!(order(&vec![line("mug-blue", 1); MAX_LINES + 1]), Err(Refusal::TooManyLines));
        for quantity in [-1, 0, MAX_QUANTITY + 1] {
            let refusal = Refusal::Quantity { sku: "mug-blue".into(), quantity };
            assert_eq!(order(&[line("mug-blue", quantity)]), Err(refusal));
        }
        let twice = [line("mug-blue", 1), line("mug-blue", 2)];
        assert_eq!(order(&twice), Err(Refusal::Twice("mug-blue".into())));
        assert_eq!(order(&[line("mug-red", 1)]), Err(Refusal::Unknown("mug-red".into())));
    }

    #[test]
    fn price_sent_by_a_customer_is_refused() {
        let body = r#"{"lines": [{"sku": "mug-blue", "quantity": 1, "price_cents": 1}]}"#;
        let refusal = priced(body).unwrap_err().to_string();
        assert!(refusal.contains("unknown field `price_cents`"), "{refusal}");
    }

    #[test]
    fn largest_order_does_not_overflow() {
        let line = Line { sku: "x".into(), quantity: MAX_QUANTITY, price_cents: 100_000_000, vat_percent: 0 };
        assert_eq!(net_cents(&vec![line; MAX_LINES]), 10_000_000_000_000);
    }
}
