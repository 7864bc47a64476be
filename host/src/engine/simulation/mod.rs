//! The whole engine on a simulated clock and a seeded scheduler, with faults drawn from the seed.
//!
//! One thread runs everything: the loop, the commits, the source and, on a runtime whose clock stands still, the effects.
//! A run is a function of its seed. After it a model that knows nothing of the engine looks at what the store holds, what
//! the source held and what the backends saw.

mod clock;
mod disk;
mod host;
mod hosts;
mod knowledge;
mod model;
mod operators;
mod releases;
mod remains;
mod run;
mod scenario;
mod senders;
mod tests;
mod world;
