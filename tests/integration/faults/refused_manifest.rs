//! A wrong manifest or component: nothing starts, every problem is listed, exit code 2.

use std::fs;

use crate::place::Place;
use crate::wire::Node;

#[test]
fn nothing_starts_and_every_problem_is_listed() {
    let place = Place::registration();
    place.stream([Node::new(1, "effect").introspection(0.0, "eeeeeeee-0000-4000-8000-00000000000a")]);
    place.mend("key = \"node-id\"", "key = \"node\"");
    place.mend("capability = \"table\"", "capability = \"tabel\"");
    place.mend("field = \"phase\"", "field = \"phrase\"");
    let before = place.files();
    let refused = place.run().exits(2);
    for code in ["key-field-missing", "capability-unknown", "machine-field-unknown"] {
        assert!(refused.err.contains(code), "{code} is not in\n{}", refused.err);
    }
    assert!(refused.out.is_empty());
    assert_eq!(place.files(), before, "nothing was begun");
}

#[test]
fn a_component_that_is_none_is_refused() {
    let place = Place::registration();
    place.stream([""; 0]);
    fs::write(place.path("registration.wasm"), b"\0asm no more").unwrap();
    let refused = place.run().exits(2);
    assert!(refused.err.contains("not-a-component"), "{}", refused.err);
    assert!(!place.files().contains(&"registration.db".to_owned()));
}

#[test]
fn a_missing_variable_is_named() {
    let place = Place::registration();
    place.stream([""; 0]);
    place.mend("sqlite = \"records.db\"", "sqlite = \"${NO_SUCH_FOLDER}/records.db\"");
    let refused = place.run().exits(2);
    assert!(refused.err.contains("variable-missing") && refused.err.contains("NO_SUCH_FOLDER"), "{}", refused.err);
}
