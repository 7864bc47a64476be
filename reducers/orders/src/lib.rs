//! Orders: reserve, charge, ship, or take it all back.
//!
//! Two kinds of entities share the workflow and talk by deliveries: an order and the stock of an article. [`decide`] tells them
//! apart; an order's way is [`placing`], [`reserving`], [`payment`], [`shipping`], and [`cancelling`] from wherever it fails.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod archive;
mod cancelling;
mod decide;
mod order;
mod payment;
mod placing;
mod reserving;
mod shipping;
mod stock;

purefold_guest::reducer! { world: "orders", reduce: Orders }

pub use contract::shop::orders::domain;
pub use decide::decide;

struct Orders;

impl contract::Guest for Orders {
    fn reduce(
        context: purefold_guest::Context,
        state: Option<domain::State>,
        input: domain::Input,
    ) -> Result<domain::Transition, domain::Rejection> {
        decide(&context, state, input)
    }
}

#[cfg(test)]
mod fixture;
