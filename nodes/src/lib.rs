//! Simulated nodes of the reference workflow. They speak its wire format: announce themselves, answer the registry's requests,
//! acknowledge, send heartbeats, die, come back, and misbehave, all of it from a seed.
//!
//! [`event`] is what goes over the wire, [`Node`] one node that makes it, [`Fleet`] the lives of many, as data: what is to be
//! sent when, given what was heard. [`Bus`] carries it over Kafka.

mod behaviour;
mod bus;
pub mod event;
mod fleet;
mod message;
mod node;
pub mod random;
mod summary;
mod topics;

pub use behaviour::Behaviour;
pub use bus::{Bus, Received};
pub use fleet::{Fleet, Pace, Plan};
pub use message::{Form, Message, Outgoing};
pub use node::Node;
pub use summary::Summary;
pub use topics::{READ_BY_NODES, Topics, WRITTEN_BY_NODES, WRITTEN_BY_REGISTRY};
