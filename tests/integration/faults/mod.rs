//! Bad input and faults, one row of the design's table after the other: what happens, and that nothing else stops.

mod backend_down;
mod dead_letters;
mod forbidden_transition;
mod limits;
mod parking;
mod position;
mod refused_manifest;
mod rejections;
mod stopping;
mod store_down;

pub(crate) use limits::poke;
