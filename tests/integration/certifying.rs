//! Certificates: what was found of a component, signed, and demanded before it runs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::author::{Desk, examples};
use crate::deploying::arrival;
use crate::place::Place;
use crate::program::{Done, fixture, reducer};
use crate::repository::root;
use crate::trust::{deploy, found, key, sign, trusting};
use crate::verification::{copy_of, demo};

const COMPONENT: &str = "registration.wasm";
const CERTIFICATE: &str = "registration.wasm.certificate.json";

/// Few enough for a test that does not look at what is made up.
const FEW: [&str; 2] = ["--runs", "5"];

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn certify(place: &Place, rest: &[&str]) -> Done {
    place.ask("certify", &[&FEW[..], rest].concat())
}

fn certified(place: &Place, rest: &[&str]) -> Value {
    let by = place.path("ann");
    certify(place, &[&["--sign", text(&by), "--comment", "looked at by ann"], rest].concat()).well();
    statement(place)
}

fn statement(place: &Place) -> Value {
    serde_json::from_str(&fs::read_to_string(place.path(CERTIFICATE)).expect("a certificate")).expect("it is JSON")
}

/// What is wrong with the certificate, in the eyes of who trusts the key of that name.
#[track_caller]
fn checked(place: &Place, by: &str, code: i32) -> Vec<String> {
    let key = place.path(&format!("{by}.pub"));
    let done = place.ask("check", &["--require-certificate", "--trusted-keys", text(&key), "--json"]).exits(code);
    done.json().iter().filter_map(|line| Some(line["code"].as_str()?.to_owned())).collect()
}

/// The reference workflow after its demo, and the keys of two people.
fn place() -> Place {
    let place = copy_of(demo());
    key(&place, "ann");
    key(&place, "bob");
    place
}

#[test]
fn what_is_found_is_written_down_the_same_each_time() {
    let place = place();
    let first = certified(&place, &["--history"]);
    let component = fs::read(place.path(COMPONENT)).expect("a component");
    assert_eq!(first["component"]["bytes"], component.len());
    assert!(
        first["component"]["imports"].as_array().is_some_and(|names| names.contains(&json!("purefold:reducer/types@1.0.0"))),
        "{first:#}"
    );
    assert!(first["component"]["features"].as_array().is_some_and(|features| features.contains(&json!("component-model"))), "{first:#}");
    let check = place.ask("check", &["--json"]).well().json().pop().expect("a summary");
    assert_eq!(first["component"]["sha256"], check["well"][0]["component_digest"]);
    assert_eq!(first["manifest"]["sha256"], check["well"][0]["manifest_digest"]);
    let passed: Vec<&Value> = first["gates"].as_array().expect("gates").iter().map(|gate| &gate["gate"]).collect();
    assert_eq!(passed, ["checks", "compilation", "fuzz"]);
    assert_eq!((&first["fuzz"][0]["seed"], &first["fuzz"][0]["runs"]), (&json!(1), &json!(5)));
    let history = &first["histories"][0];
    let counts = place.ask("verify", &["--json"]).well().json().pop().expect("counts");
    assert_eq!((&history["verified"]["entries"], &history["entries"]), (&counts["entries"], &counts["entries"]));
    assert_eq!((&history["replayed"]["decisions"], &history["replayed"]["different"]), (&counts["decisions"], &json!(0)));

    let written = fs::read(place.path(CERTIFICATE)).expect("a certificate");
    certified(&place, &["--history"]);
    assert_eq!(fs::read(place.path(CERTIFICATE)).expect("a certificate"), written);

    // The same history in a bundle is the same history, wherever it is.
    let bundle = place.path("b");
    place.ask("export", &["--bundle", text(&bundle)]).well();
    assert_eq!(certified(&place, &["--bundle", text(&bundle)])["histories"], first["histories"]);
}

#[test]
fn one_that_is_for_this_component_by_somebody_trusted_counts() {
    let place = place();
    assert_eq!(checked(&place, "ann", 2), ["certificate-missing"]);
    certify(&place, &[]).well();
    assert_eq!(checked(&place, "ann", 2), ["certificate-missing"], "it is not signed");
    certified(&place, &[]);
    assert_eq!(checked(&place, "ann", 0), [""; 0]);
    let key = place.path("ann.pub");
    let told = place.ask("check", &["--require-certificate", "--trusted-keys", text(&key)]).well();
    assert!(told.out.contains("looked at by ann"), "{}", told.out);
    assert_eq!(checked(&place, "bob", 2), ["certificate-wrong"]);
    assert_eq!(
        place.ask("check", &["--require-certificate", "--json"]).exits(2).json()[0]["code"],
        "certificate-wrong",
        "nobody is trusted"
    );

    let written = fs::read_to_string(place.path(CERTIFICATE)).expect("a certificate");
    fs::write(place.path(CERTIFICATE), written.replacen("\"runs\": 5", "\"runs\": 5000", 1)).expect("it can be written");
    assert_eq!(checked(&place, "ann", 2), ["certificate-wrong"]);
    // Whoever is trusted and signs what nobody found.
    fs::write(place.path(CERTIFICATE), written.replace('\n', " ")).expect("it can be written");
    sign(&place, CERTIFICATE, "ann");
    assert_eq!(checked(&place, "ann", 2), ["certificate-wrong"]);

    certified(&place, &[]);
    place.mend("[store]\n", "[limits]\nfuel = 90000000\n\n[store]\n");
    assert_eq!(checked(&place, "ann", 2), ["certificate-other"]);
    certified(&place, &[]);
    assert_eq!(checked(&place, "ann", 0), [""; 0]);
    place.install(&fixture("registration-tagged"));
    assert_eq!(checked(&place, "ann", 2), ["certificate-other"]);
}

#[test]
fn a_gate_that_was_not_passed_is_written_down_and_held_against_it() {
    let place = place();
    place.install(&fixture("registration-tagged"));
    let by = place.path("ann");
    let refused = certify(&place, &["--history", "--sign", text(&by)]).exits(1);
    assert!(refused.out.contains("shadow") && refused.out.contains("refused"), "{}", refused.out);
    // Those that follow a difference that nobody wanted may not be known.
    assert!(statement(&place)["histories"][0]["replayed"]["different"].as_u64().is_some_and(|different| different > 60));
    assert_eq!(checked(&place, "ann", 2), ["certificate-refused"]);
    let wanted = certified(&place, &["--history", "--expect", "intents.register-service.tags"]);
    assert_eq!(wanted["histories"][0]["replayed"]["expected"], 67);
    assert_eq!(wanted["histories"][0]["replayed"]["expect"], json!(["intents.register_service.tags"]));
    assert_eq!(checked(&place, "ann", 0), [""; 0]);

    let place = Place::misbehaving();
    let done = place.ask("certify", &["--runs", "200", "--json"]).exits(1);
    assert_eq!(done.json()[0]["passed"], false);
    // A history that was altered proves nothing.
    let place = self::place();
    crate::tables::change(
        &place.path("registration.db"),
        "UPDATE journal SET now = now + 1 WHERE row = (SELECT max(row) FROM journal WHERE kind = 'decided')",
    );
    let done = certify(&place, &["--history"]).exits(1);
    assert!(done.out.contains("it says that the gate `verify` was not passed"), "{}", done.out);
}

#[test]
fn a_component_alone_is_certified_and_what_is_none_is_not() {
    let place = place();
    let (component, by, trusted) = (place.path(COMPONENT), place.path("ann"), place.path("ann.pub"));
    let run = |arguments: &[&str]| -> Done { crate::program::purefold(arguments).output().expect("purefold can be started").into() };
    run(&["certify", text(&component), "--runs", "5", "--sign", text(&by)]).well();
    run(&["check", text(&component), "--require-certificate", "--trusted-keys", text(&trusted)]).well();
    assert!(run(&["certify", text(&component), "--history"]).exits(2).err.contains("--bundle"));
    fs::write(&component, b"\0asm").expect("it can be written");
    assert!(run(&["certify", text(&component)]).exits(2).err.contains("not-a-component"));
    // Of another workflow.
    let bundle = demo().path("of-registration");
    if !bundle.exists() {
        demo().ask("export", &["--bundle", text(&bundle)]).well();
    }
    let other = Place::misbehaving();
    let done = other.ask("certify", &["--runs", "0", "--bundle", text(&bundle)]).exits(2);
    assert!(done.err.contains("of workflow \"registration\""), "{}", done.err);
}

#[test]
fn a_manifest_demands_one_at_the_start_and_for_each_release() {
    let (place, ..) = trusting();
    place.mend("trusted-keys", "require-certificate = true\ntrusted-keys");
    // More is asked for than before: that needs nobody's word.
    assert!(arrival(&place).exits(2).err.contains("certificate-missing"));
    let by = place.path("ann");
    let certify = |target: &[&str]| -> Done {
        let arguments = [&["certify"], target, &["--runs", "1", "--sign", text(&by)]].concat();
        crate::program::purefold(arguments).output().expect("purefold can be started").into()
    };
    certify(&[text(place.manifest())]).well();
    arrival(&place).well();
    let next = place.path("next.wasm");
    sign(&place, "next.wasm", "ann");
    assert_eq!(found(&deploy(&place).exits(1)), ["certificate-missing"]);
    certify(&[text(&next)]).well();
    let released = deploy(&place).well();
    let told = released.json().into_iter().find(|line| line["gate"] == "signature").expect("a gate")["told"].to_string();
    assert!(told.contains("certified by key"), "{told}");
    // A copy for an audit asks for none again.
    let (bundle, copy) = (place.path("bundle"), place.path("copy"));
    place.ask("export", &["--bundle", text(&bundle)]).well();
    let run = |arguments: &[&str]| -> Done { crate::program::purefold(arguments).output().expect("purefold can be started").into() };
    run(&["import", text(&bundle), "--to", text(&copy)]).well();
    run(&["verify", text(&copy.join("workflow.toml"))]).well();
    // Whoever brings a manifest does not decide by themselves that none is needed.
    place.mend("require-certificate = true\n", "");
    assert_eq!(found(&deploy(&place).exits(1)), ["release-keys-changed"]);
    sign(&place, "workflow.toml", "ann");
    deploy(&place).well();
    place.mend("trusted-keys", "require-certificate = true\n# trusted-keys");
    assert!(place.ask("check", &[]).exits(2).out.contains("setting-missing"));
}

#[test]
fn the_page_on_certificates() {
    let desk = Desk::new();
    let manifest = desk.read("registration.toml");
    desk.write("registration.toml", &manifest.replacen("[store]\n", "[store]\nid = \"7e570000-0000-4000-8000-000000000001\"\n", 1));
    fs::copy(root().join("demo/events.jsonl"), desk.path("demo.jsonl")).unwrap();
    fs::copy(reducer("registration"), desk.path(COMPONENT)).unwrap();
    examples::page("certificates.md", &desk);
}
