//! The declared machine, on every step there is.

use purefold_wit::Value;

use super::super::Machine;
use super::{Folder, MANIFEST, loaded};

fn machine() -> Machine {
    loaded(Folder::new().load(MANIFEST)).machine.unwrap()
}

/// A state in the phase of this index.
fn state(phase: u32) -> Value {
    Value::Record([Value::String("p1".into()), Value::Enum(phase), Value::U32(1)].into())
}

const PACKED: Option<u32> = Some(0);
const SENT: Option<u32> = Some(1);
const ARRIVED: Option<u32> = Some(2);

#[test]
fn a_step_is_allowed_where_it_is_declared_and_staying_always() {
    let machine = machine();
    for (before, after, forbidden) in [
        (None, None, None),
        (None, PACKED, None),
        (None, SENT, Some("an entity may not begin in `sent`")),
        (PACKED, PACKED, None),
        (PACKED, SENT, None),
        (PACKED, ARRIVED, Some("`packed` may not become `arrived`")),
        (PACKED, None, Some("an entity may not end in `packed`")),
        (SENT, ARRIVED, None),
        (SENT, PACKED, Some("`sent` may not become `packed`")),
        (ARRIVED, ARRIVED, None),
        (ARRIVED, None, None),
    ] {
        let checked = machine.check(before.map(state).as_ref(), after.map(state).as_ref());
        assert_eq!(checked.err().as_deref(), forbidden, "{before:?} to {after:?}");
    }
}

#[test]
fn a_state_without_a_phase_is_no_step() {
    let machine = machine();
    for wrong in [Value::Record([].into()), state(3), Value::Bool(true)] {
        assert!(machine.check(None, Some(&wrong)).is_err(), "{wrong:?}");
    }
}
