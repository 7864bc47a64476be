//! The page on replay shows what the program prints.

use std::fs;

use crate::author::{Desk, examples};
use crate::program::fixture;
use crate::repository::root;

#[test]
fn the_page_on_replay() {
    let desk = Desk::new();
    let manifest = desk.read("registration.toml");
    // Ids are made from the journal's.
    desk.write("registration.toml", &manifest.replacen("[store]\n", "[store]\nid = \"7e570000-0000-4000-8000-000000000001\"\n", 1));
    fs::copy(root().join("demo/events.jsonl"), desk.path("demo.jsonl")).unwrap();
    fs::copy(fixture("registration-tagged"), desk.path("registration-tagged.wasm")).unwrap();
    examples::page("replay.md", &desk);
}
