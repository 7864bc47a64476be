//! What a reducer links: bindings from its contract, an allocator made for sandboxes that live for one decision, the
//! arithmetic of instants and UUIDs.
//!
//! A reducer is a contract in `wit/`, a pure function, and one line that joins them:
//!
//! ```ignore
//! purefold_guest::reducer! { world: "counter", reduce: Counter }
//!
//! use contract::example::counter::domain::{Input, Rejection, State, Transition};
//! use purefold_guest::Context;
//!
//! struct Counter;
//!
//! impl contract::Guest for Counter {
//!     fn reduce(context: Context, state: Option<State>, input: Input) -> Result<Transition, Rejection> { … }
//! }
//! ```
//!
//! The same code compiles for the machine at hand, so a reducer's tests are plain unit tests. Compiled for
//! `wasm32-unknown-unknown`, linking this crate replaces the global allocator.

#[cfg(target_arch = "wasm32")]
mod allocator;
pub mod instant;
pub mod types;
pub mod uuid;

pub use types::{Context, Failure, Instant, Timer, TimerCancel, Uuid};
#[doc(hidden)]
pub use wit_bindgen;

/// Makes a module `contract` from a WIT package, and exports `reduce` of a type that implements `contract::Guest` as the
/// component's. To be called at the crate's root, once.
///
/// The package is the one in the crate's folder `wit/`, or in the folder that `path` names from there. The package
/// `purefold:reducer@1.0.0` is looked for in the folder's `deps/`; its types are those of this crate.
#[macro_export]
macro_rules! reducer {
    (world: $world:literal, reduce: $reducer:ident $(,)?) => {
        $crate::reducer! { world: $world, path: "wit", reduce: $reducer }
    };
    (world: $world:literal, path: $path:literal, reduce: $reducer:ident $(,)?) => {
        /// The contract's types, and the trait `Guest` to implement.
        #[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated from the contract")]
        pub mod contract {
            $crate::wit_bindgen::generate!({
                world: $world,
                path: $path,
                runtime_path: "purefold_guest::wit_bindgen::rt",
                with: { "purefold:reducer/types@1.0.0": purefold_guest::types },
                additional_derives: [PartialEq],
            });
            export!(Exported with_types_in self);
            use super::$reducer as Exported;
        }
    };
}
