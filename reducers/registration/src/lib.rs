//! The reference workflow: two-way node registration.
//!
//! A node announces itself. The registry decides whether to register it, asks for a row and a catalogue entry (the dual
//! registration) and waits for the node's acknowledgement; from then on heartbeats keep the node alive.
//!
//! [`decide`] holds the table of phases and inputs; each of its verbs has a module of its own.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod acknowledgement;
mod decide;
mod dual;
mod endpoints;
mod liveness;
mod register;
mod service;
mod slug;
mod version;

purefold_guest::reducer! { world: "registration", reduce: Registration }

pub use contract::onex::registration::domain;
pub use decide::decide;

struct Registration;

impl contract::Guest for Registration {
    fn reduce(
        context: purefold_guest::Context,
        state: Option<domain::State>,
        input: domain::Input,
    ) -> Result<domain::Transition, domain::Rejection> {
        decide(&context, state, input)
    }
}

/// What every row of the registry belongs to: one table serves several domains.
const DOMAIN: &str = "registration";

/// An accepted decision that changes nothing.
fn unchanged(state: domain::State) -> domain::Transition {
    domain::Transition { state: Some(state), intents: Vec::new() }
}

#[cfg(test)]
mod fixture;
