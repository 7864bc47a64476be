//! The contract of a reducer: the types of its `reduce`, read from the component's own WIT and checked.

mod binary;
mod fingerprint;
mod payload;
mod reader;
mod signature;

use std::sync::Arc;

use crate::{Finding, Record, Type, Variant};

/// Deepest nesting of types in a contract: `option<list<string>>` is three deep. With the object around each case it
/// stays well below the depth at which `serde_json` gives up.
pub const NESTING_MAX: usize = 32;

/// Most types, counted where they are defined, that the functions of one component may use.
pub const TYPES_MAX: usize = 1024;

/// Most fields, cases and elements of a contract's type when every type in it is written out where it is used.
pub const EXPANDED_MAX: usize = 16_384;

/// A reducer's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Where the domain comes from: the interface that declares the state, such as `onex:registration/domain@1.0.0`, or
    /// the world's own name where the world declares it. (A component does not keep its world's name.)
    pub world: String,
    /// The standard `context`.
    pub context: Type,
    /// The entity's state.
    pub state: Arc<Record>,
    /// What the reducer takes; every case carries a record.
    pub input: Arc<Variant>,
    /// What the reducer asks for; every case carries a record.
    pub intent: Arc<Variant>,
    /// Why it declines: a variant, an enum or a record.
    pub rejection: Type,
    /// The state that `migrate` takes over, where there is one.
    pub migrate: Option<Type>,
    /// The predecessor's state that `downgrade` gives back, where there is one.
    pub downgrade: Option<Type>,
}

impl Contract {
    /// Reads and checks a component's contract. Function imports are not looked at: they are no part of it.
    ///
    /// # Errors
    /// Everything that is wrong with the contract, all at once.
    pub fn read(component: &[u8]) -> Result<Contract, Vec<Finding>> {
        let (resolve, world) = binary::decode(component).map_err(|finding| vec![finding])?;
        signature::read(&resolve, world)
    }

    /// SHA-256, in lower-case hex, over a description of the state's JSON form: equal exactly where each one's states
    /// are the other's. Names of types and the order of cases are no part of the form; the order of fields is.
    #[must_use]
    pub fn state_fingerprint(&self) -> String {
        fingerprint::of_state(self)
    }

    /// The [`Contract::state_fingerprint`] of the states that `migrate` takes over; none where it is not exported.
    #[must_use]
    pub fn migrates_from(&self) -> Option<String> {
        fingerprint::of_previous(self)
    }

    /// The [`Contract::state_fingerprint`] of the states that `downgrade` gives; none where it is not exported.
    #[must_use]
    pub fn downgrades_to(&self) -> Option<String> {
        fingerprint::of_downgraded(self)
    }

    /// As [`Contract::state_fingerprint`], over the whole contract.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint::of_contract(self)
    }
}
