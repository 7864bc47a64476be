//! From core modules to components.

use purefold_wit::Contract;
use purefold_wit::component::componentize;

use crate::components::{Reducer, module};

#[test]
fn the_same_module_gives_the_same_component() {
    let module = module(&Reducer::default().wit());
    let component = componentize(&module).unwrap();
    assert_eq!(component, componentize(&module).unwrap());
    assert!(Contract::read(&component).is_ok());
}

#[test]
fn what_is_no_module_of_a_world_is_refused_with_its_reason() {
    let begin = "cannot make a component of the core module: ";
    let cases = [
        (&b"no module at all"[..], "magic header"),
        (&Reducer::default().component(), "component"),
        // The module describes no world that has what it exports.
        (&wat::parse_str("(module (import \"env\" \"now\" (func)))").unwrap(), "`env`"),
        // Adapters would bring the clock and the file system back in.
        (
            &wat::parse_str("(module (import \"wasi_snapshot_preview1\" \"random_get\" (func (param i32 i32) (result i32))))").unwrap(),
            "`wasi_snapshot_preview1`",
        ),
    ];
    for (module, reason) in cases {
        let error = componentize(module).unwrap_err().to_string();
        assert!(error.starts_with(begin) && error.contains(reason), "{error}");
    }
}
