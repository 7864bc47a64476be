//! The integration tests of the whole repository, in one binary so that they are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should say so and stop")]

mod acceptance;
mod author;
mod backends;
mod bounds;
mod chance;
mod chaos;
mod client;
mod collector;
mod commands;
mod crashes;
mod e2e;
mod error_pages;
mod failing_disk;
mod faults;
mod golden;
mod hosts;
mod languages;
mod layering;
mod lifecycle;
mod observability;
mod operators;
mod orders;
mod payments;
mod place;
mod production;
mod program;
mod purity_gates;
mod rehearsal;
mod releases;
mod replay;
mod repository;
mod request;
mod service;
mod shop;
mod sources;
mod spans;
mod store;
mod surroundings;
mod tables;
mod traces;
mod vectors;
mod verification;
mod wire;
mod wrong_manifest;
