//! What goes over the wire in the domain of orders.

use serde_json::{Value, json};

use crate::wire::{at, event};

/// Goods came in.
pub(crate) fn arrived(stock: &str, quantity: u32, seconds: f64) -> String {
    let data = json!({"id": stock, "quantity": quantity, "shelf": ["A", 7], "unit_weight_kg": 0.5});
    event("shop.stock.arrived.v1", &format!("arrived-{stock}-{seconds}"), "/warehouse", seconds, None, &data)
}

/// An order of one or more articles at 5.00 each, without discount.
pub(crate) fn placed(order: &str, lines: &[(&str, u32)], seconds: f64) -> String {
    let lines: Vec<Value> =
        lines.iter().map(|(stock, quantity)| json!({"stock_id": stock, "quantity": quantity, "unit_price": 500})).collect();
    let data = json!({
        "id": order, "customer": "Ada", "lines": lines, "currency": "eur", "handling": ["fragile"], "payment_method": "card", "placed_at": at(seconds),
    });
    event("shop.order.placed.v1", &format!("placed-{order}"), "/shop", seconds, Some(&format!("correlation-{order}")), &data)
}

/// The customer changed their mind.
pub(crate) fn withdrawn(order: &str, seconds: f64) -> String {
    event("shop.order.withdrawn.v1", &format!("withdrawn-{order}"), "/shop", seconds, None, &json!({"id": order, "reason": "too slow"}))
}
