//! The registry itself, as a node among the nodes.
//!
//! When a host starts it, it asks every node to announce itself anew, and announces itself as they do: the workflow
//! `registration` registers it like any of them, so that it is found in the catalogue under its own id. From then on it
//! acknowledges and sends heartbeats by the clock, since it does not read what the registration publishes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod alive;
mod start;

use purefold_guest::Context;

purefold_guest::reducer! { world: "registry", reduce: Registry }

pub use contract::onex::registry::domain;

struct Registry;

impl contract::Guest for Registry {
    fn reduce(context: Context, state: Option<domain::State>, input: domain::Input) -> Result<domain::Transition, domain::Rejection> {
        decide(&context, state, input)
    }
}

/// Decides one input of the registry.
///
/// # Errors
/// Where a timer falls due for a registry that was never started.
pub fn decide(context: &Context, state: Option<domain::State>, input: domain::Input) -> Result<domain::Transition, domain::Rejection> {
    match (state, input) {
        (state, domain::Input::Started(event)) => Ok(start::start(context, state, event)),
        (None, domain::Input::Timer(_)) => Err(domain::Rejection::NotStarted),
        (Some(state), domain::Input::Timer(timer)) => Ok(alive::due(context, state, &timer)),
    }
}

#[cfg(test)]
mod fixture;
