//! The crate from outside: JSON rules and contract findings as tables, and what must hold for every type and value.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod codec_bounds;
mod codec_encode;
mod codec_properties;
mod codec_rules;
mod componentize;
mod components;
mod contract_accepted;
mod contract_findings;
mod error_pages;
mod hostile;
mod types;
