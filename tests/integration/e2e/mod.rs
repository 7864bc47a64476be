//! End to end, on real Kafka, Consul and PostgreSQL: the program as it is shipped, with the production manifests, and simulated
//! nodes. A module for each suite of the reference domain, and its acceptance on the real services.

mod acceptance;
mod dual_registration;
mod graceful_degradation;
mod heartbeats;
mod many_nodes;
mod outages;
mod re_introspection;
mod recovery;
mod self_registration;
mod startup_introspection;
mod world;
