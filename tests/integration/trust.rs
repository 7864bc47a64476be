//! Whom a workflow trusts is for those to say who are trusted already.

use std::fs;

use serde_json::{Value, json};

use crate::deploying::{MANIFEST, arrival};
use crate::place::Place;
use crate::program::{Done, fixture, purefold};

/// A pair of keys in the folder of the place. Gives the public key's line.
pub(crate) fn key(place: &Place, name: &str) -> String {
    let done: Done = purefold(["key", "--no-password"]).arg(place.path(name)).output().expect("purefold can be started").into();
    done.well();
    let public = fs::read_to_string(place.path(&format!("{name}.pub"))).expect("there is a public key");
    public.lines().nth(1).expect("a key").to_owned()
}

pub(crate) fn sign(place: &Place, file: &str, key: &str) {
    let signature = place.path(&format!("{file}.minisig"));
    if signature.exists() {
        fs::remove_file(signature).expect("it can be removed");
    }
    let done: Done =
        purefold(["sign"]).arg(place.path(file)).arg("--key").arg(place.path(key)).output().expect("purefold can be started").into();
    done.well();
}

fn trust(place: &Place, keys: &[&str]) {
    let rest = MANIFEST.replace("[store]\n", "[store]\nid = \"7e570000-0000-4000-8000-000000000001\"\n");
    let manifest = match keys {
        [] => rest,
        keys => rest.replace("[reducer]\n", &format!("[reducer]\ntrusted-keys = {}\n", json!(keys))),
    };
    fs::write(place.manifest(), manifest).expect("the manifest can be written");
}

pub(crate) fn deploy(place: &Place) -> Done {
    let component = place.path("next.wasm");
    place.ask("deploy", &[component.to_str().expect("a path is text"), "--sample", "0", "--json"])
}

/// What the gate of signatures finds wrong.
#[track_caller]
pub(crate) fn found(done: &Done) -> Vec<Value> {
    let gate = done.json().into_iter().find(|line| line["gate"] == "signature").expect("a gate");
    gate["findings"].as_array().expect("findings").iter().map(|finding| finding["code"].clone()).collect()
}

/// A workflow that trusts one key, with a component that is signed by it and one that is to follow; the keys of two people.
pub(crate) fn trusting() -> (Place, String, String) {
    let place = Place::new(MANIFEST, &fixture("simulated-v1"));
    let (ann, bob) = (key(&place, "ann"), key(&place, "bob"));
    trust(&place, &[&ann]);
    sign(&place, "swapped.wasm", "ann");
    place.stream::<&str>([]);
    arrival(&place).well();
    fs::copy(fixture("simulated-v2"), place.path("next.wasm")).expect("it can be copied");
    (place, ann, bob)
}

#[test]
fn a_deployment_cannot_drop_or_add_trust_by_a_manifest_of_its_own() {
    let (place, ann, bob) = trusting();
    assert_eq!(found(&deploy(&place).exits(1)), ["signature-missing"]);
    sign(&place, "next.wasm", "bob");
    assert_eq!(found(&deploy(&place).exits(1)), ["signature-wrong"]);
    // Bob's own manifest, which is content with Bob, or with anybody.
    for keys in [&[&*bob][..], &[&*ann, &*bob], &[]] {
        trust(&place, keys);
        assert_eq!(found(&deploy(&place).exits(1)), ["release-keys-changed"], "{keys:?}");
        sign(&place, "workflow.toml", "bob");
        assert_eq!(found(&deploy(&place).exits(1)), ["release-keys-changed"], "{keys:?}");
        // Nor by a start on it.
        sign(&place, "swapped.wasm", "bob");
        let started = arrival(&place).exits(2);
        assert!(started.err.contains("release-keys-changed"), "{}", started.err);
    }
    trust(&place, &[&ann]);
    sign(&place, "next.wasm", "ann");
    deploy(&place).well();
}

#[test]
fn keys_are_changed_by_a_manifest_that_a_trusted_key_signed() {
    let (place, ann, bob) = trusting();
    trust(&place, &[&ann, &bob]);
    sign(&place, "workflow.toml", "ann");
    sign(&place, "next.wasm", "bob");
    deploy(&place).well();
    // One that goes needs nobody's word, as long as one is left.
    trust(&place, &[&bob]);
    deploy(&place).well();
    sign(&place, "next.wasm", "ann");
    assert_eq!(found(&deploy(&place).exits(1)), ["signature-wrong"]);
    // What is gone does not come back by going back.
    let back = place.ask("rollback", &["--to", "1", "--json"]).exits(1);
    assert_eq!(found(&back), ["release-keys-changed"]);
    // Nobody is trusted any more: Bob says so.
    trust(&place, &[]);
    sign(&place, "workflow.toml", "bob");
    deploy(&place).well();
    place.verifies();
}
