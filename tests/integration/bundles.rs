//! Audit bundles: what one store holds is proven where neither it nor its manifest is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use purefold::bundle::Bounds;
use purefold::deploy::{CompileLimits, Compiler};
use purefold::journal::{hex, sha256};

use crate::place::Place;
use crate::program::{Done, fixture, program, purefold};
use crate::repository::root;
use crate::store::database;
use crate::verification::{copy_of, demo};

const STORE: &str = "registration.db";

/// A node that registers, sends one sign of life and falls silent.
const SILENT: &str = "9ce05a5a-11b3-4a89-962f-19103dc5fae4";

/// Runs the program in an empty folder: it has nothing but what is named.
fn alone(arguments: &[&str]) -> Done {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    purefold(arguments.iter().copied()).current_dir(folder.path()).output().expect("purefold can be started").into()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn verify(bundle: &Path, rest: &[&str]) -> Done {
    alone(&[&["verify", "--bundle", text(bundle), "--json"], rest].concat())
}

/// The counts of what `verify` looked at.
#[track_caller]
fn counts(done: &Done) -> serde_json::Value {
    done.json().pop().expect("counts")
}

#[track_caller]
fn exported(place: &Place, name: &str, rest: &[&str]) -> std::path::PathBuf {
    let bundle = place.path(name);
    place.ask("export", &[&["--bundle", text(&bundle)], rest].concat()).well();
    bundle
}

#[test]
fn a_bundle_is_verified_without_manifest_and_store() {
    let place = copy_of(demo());
    let bundle = exported(&place, "all.bundle", &[]);
    let (there, here) = (counts(&place.ask("verify", &["--json"]).well()), counts(&verify(&bundle, &[]).well()));
    assert_eq!(there, here);
    assert!(here["decisions"].as_u64().is_some_and(|decisions| decisions > 0), "{here}");
    // Nothing is written over.
    let again = place.ask("export", &["--bundle", text(&bundle)]);
    assert!(again.code == Some(3) && again.err.contains("exists"), "{again:?}");
}

#[test]
fn what_was_altered_before_it_was_exported_is_found_in_the_bundle() {
    let place = copy_of(demo());
    let changed = crate::tables::change(
        &place.path(STORE),
        "UPDATE journal SET now = now + 1 WHERE row = (SELECT max(row) FROM journal WHERE kind = 'decided')",
    );
    assert_eq!(changed, 1);
    let found = verify(&exported(&place, "b", &[]), &[]).exits(1);
    assert!(found.json().iter().any(|line| line["what"] == "hash" || line["what"] == "decision"), "{}", found.out);
}

#[test]
fn a_changed_byte_and_a_missing_end_are_told() {
    let place = copy_of(demo());
    let bundle = exported(&place, "b", &[]);
    let whole = fs::read(&bundle).unwrap();
    let places = (0..32).map(|part| whole.len() * part / 32).chain([whole.len() - 1, whole.len() - 73, whole.len() - 80]);
    for at in places {
        let mut other = whole.clone();
        other[at] ^= 1;
        fs::write(&bundle, other).unwrap();
        let done = verify(&bundle, &[]);
        let expected = if at < 18 { 2 } else { 1 };
        assert!(done.code == Some(expected) && done.err.contains("bundle"), "byte {at}: {done:?}");
    }
    fs::write(&bundle, &whole[..whole.len() / 2]).unwrap();
    let done = verify(&bundle, &[]).exits(1);
    assert!(done.err.contains("not as it was written"), "{}", done.err);
}

#[test]
fn an_import_answers_as_the_store_that_was_exported() {
    let place = copy_of(demo());
    let bundle = exported(&place, "b", &[]);
    let folder = place.path("imported");
    alone(&["import", text(&bundle), "--to", text(&folder)]).well();
    let manifest = folder.join("workflow.toml");
    let both = |command: &str, rest: &[&str]| {
        let there = place.ask(command, rest).well();
        let here = alone(&[&[command, text(&manifest)], rest].concat()).well();
        assert_eq!(there.out, here.out, "{command}");
        assert!(!here.out.is_empty(), "{command}");
    };
    both("verify", &["--json"]);
    both("state", &["--json"]);
    both("journal", &["--json"]);
    both("explain", &[SILENT, "--json"]);
    both("bisect", &["--where", "phase == \"active\"", "--json"]);
    both("what-if", &[SILENT, "--drop", "2", "--json"]);
    both("minimise", &[SILENT, "--where", "phase == \"active\"", "--json"]);
    let component = folder.join("reducer.wasm");
    both("replay", &["--with", text(&component), "--json"]);
    // A folder that is there is left alone.
    let again = alone(&["import", text(&bundle), "--to", text(&folder)]);
    assert_ne!(again.code, Some(0));
    assert!(manifest.exists());
}

#[test]
fn some_entities_are_a_bundle_of_their_own() {
    let place = copy_of(demo());
    let bundle = exported(&place, "one", &["--entity", SILENT]);
    let done = verify(&bundle, &[]).well();
    assert!(done.err.contains("some of the entities"), "{}", done.err);
    let all = counts(&place.ask("verify", &["--json"]).well());
    assert!(counts(&done)["entries"].as_u64() < all["entries"].as_u64());
    let unknown = place.ask("export", &["--bundle", text(&place.path("none")), "--entity", "nobody"]).exits(1);
    assert!(unknown.err.contains("nobody") && !place.path("none").exists(), "{}", unknown.err);
}

#[test]
fn who_signed_it_is_checked_where_keys_are_named() {
    let place = copy_of(demo());
    for key in ["ours", "theirs"] {
        alone(&["key", text(&place.path(key)), "--no-password"]).well();
    }
    let bundle = exported(&place, "b", &["--sign", text(&place.path("ours"))]);
    let (ours, theirs) = (place.path("ours.pub"), place.path("theirs.pub"));
    let done = verify(&bundle, &["--trusted-keys", text(&ours)]).well();
    assert!(done.err.contains("audit bundle of registration"), "{}", done.err);
    let line = fs::read_to_string(&ours).unwrap().lines().nth(1).unwrap().to_owned();
    verify(&bundle, &["--trusted-keys", text(&theirs), "--trusted-keys", &line]).well();
    let stranger = verify(&bundle, &["--trusted-keys", text(&theirs)]).exits(1);
    assert!(stranger.err.contains("not among the trusted"), "{}", stranger.err);
    verify(&bundle, &["--trusted-keys", "nonsense"]).exits(2);
    // Another bundle that is whole, under the signature of the first.
    let other = exported(&place, "other", &["--entity", SILENT]);
    let unsigned = verify(&other, &["--trusted-keys", text(&ours)]).exits(1);
    assert!(unsigned.err.contains("no signature"), "{}", unsigned.err);
    fs::copy(place.path("b.minisig"), place.path("other.minisig")).unwrap();
    let wrong = verify(&other, &["--trusted-keys", text(&ours)]).exits(1);
    assert!(wrong.err.contains("not of these bytes"), "{}", wrong.err);
}

#[test]
fn a_bundle_larger_than_is_allowed_and_what_is_none_are_refused() {
    let place = copy_of(demo());
    let none = verify(&place.path(STORE), &[]).exits(2);
    assert!(none.err.contains("no audit bundle"), "{}", none.err);
    assert_eq!(verify(&place.path("nowhere"), &[]).code, Some(3));
}

/// A bundle whose component is another one than decided.
fn bundle_with(component: &[u8]) -> (Place, std::path::PathBuf) {
    let place = copy_of(demo());
    let (digest, bytes) = (hex(&sha256(component)), hex(component));
    for statement in [
        format!("INSERT INTO components (digest, bytes) VALUES ('{digest}', X'{bytes}')"),
        format!("UPDATE releases SET component = '{digest}'"),
    ] {
        assert_eq!(crate::tables::change(&place.path(STORE), &statement), 1);
    }
    let bundle = exported(&place, "hostile", &[]);
    (place, bundle)
}

#[test]
fn a_hostile_component_is_compiled_in_a_process_of_its_own_and_refused() {
    let (place, bundle) = bundle_with(b"\0asm\x0d\0\x01\0 no more than that");
    for refused in [verify(&bundle, &[]), alone(&["import", text(&bundle), "--to", text(&place.path("imported"))])] {
        let refused = refused.exits(2);
        assert!(refused.err.contains("the compiling process ended with"), "{}", refused.err);
    }
    assert!(!place.path("imported").exists());

    // One that would do, in a process that may take next to nothing.
    let component = fs::read(fixture("registration-tagged")).unwrap();
    let (place, bundle) = bundle_with(&component);
    let unpacked = |limits: CompileLimits, store: &str| {
        let compiler = Compiler::new(program().into(), limits);
        purefold::bundle::unpack(&bundle, &[], Bounds::default(), &place.path(store), &compiler).map_err(|error| error.to_string())
    };
    // What finds no memory ends, or waits for some until it is ended.
    let told = unpacked(CompileLimits { memory_bytes: 1 << 20, time: Duration::from_secs(5), ..CompileLimits::default() }, "a.db");
    assert!(told.as_ref().is_err_and(|told| told.contains("compiled within 5 s")), "{told:?}");
    let told = unpacked(CompileLimits { time: Duration::ZERO, ..CompileLimits::default() }, "b.db").unwrap_err();
    assert!(told.contains("is not compiled within 0 s"), "{told}");
    let told = unpacked(CompileLimits { component_bytes: 1000, ..CompileLimits::default() }, "c.db").unwrap_err();
    assert!(told.contains("at most 1000 are compiled"), "{told}");
    unpacked(CompileLimits::default(), "d.db").unwrap();
}

#[test]
fn a_bundle_whose_decisions_may_take_long_is_refused_unless_that_is_expected() {
    let place = Place::misbehaving();
    place.mend("[store]\n", "[limits]\nfuel = 2000000000\n\n[store]\n");
    place.stream([crate::faults::poke("a", 1, "none")]);
    place.run_as_far_as_the_stream();
    let bundle = exported(&place, "b", &[]);
    let refused = verify(&bundle, &[]).exits(2);
    assert!(refused.err.contains("2000000000 units of fuel") && refused.err.contains("--most-fuel"), "{}", refused.err);
    let folder = place.path("imported");
    alone(&["import", text(&bundle), "--to", text(&folder)]).exits(2);
    assert!(!folder.exists());
    verify(&bundle, &["--most-fuel", "2000000000"]).well();
}

#[test]
fn a_journal_in_postgresql_is_exported_as_one_in_a_file() {
    let mut place = Place::registration();
    place.keep_journal_in(database());
    place.stream_from(&root().join("demo/events.jsonl"));
    place.run_as_far_as_the_stream();
    let bundle = exported(&place, "b", &[]);
    let mut command = purefold(["verify", "--bundle", text(&bundle), "--json"]);
    // No such server is asked for anything.
    let done: Done = command.env("STORE_URL", "postgres://nobody@localhost:1/none").output().expect("purefold can be started").into();
    let (there, here) = (counts(&place.ask("verify", &["--json"]).well()), counts(&done.well()));
    assert_eq!(there, here);
    assert_eq!(here["decisions"], counts(&demo().ask("verify", &["--json"]).well())["decisions"]);
}
