//! purefold: the host for pure reducers.

pub mod bundle;
pub mod certificate;
pub mod deploy;
pub mod engine;
pub mod explore;
pub mod fuzz;
pub mod gate;
pub mod hosts;
pub mod journal;
pub mod observe;
pub mod rehearsal;
pub mod replay;
pub mod sandbox;
pub mod scenario;
pub mod signing;
pub mod source;
pub mod store;
pub mod time;
pub mod trace;
pub mod workflow;
