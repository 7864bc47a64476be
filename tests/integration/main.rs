//! The integration tests of the whole repository, in one binary so that they are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should say so and stop")]

mod layering;
mod repository;
