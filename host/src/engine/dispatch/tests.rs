//! The dispatcher alone, on tokio's paused clock, with scripted effects and the engine played by the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod operators;
mod outages;
mod stopping;
mod turns;
mod world;
