//! `purefold run --watch`: what an author changes is built, looked at and swapped in while the host goes on.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::project::cargo;
use crate::deploying::{MANIFEST, STORE, step};
use crate::place::{Place, Running};
use crate::program::{Done, fixture, program, purefold, signal, target_folder};
use crate::repository::root;
use crate::store::database;

/// What stands in the place of a compiler: the source names the component.
const BUILD: &str = "cp \"$(cat choice.rs)\" swapped.wasm";

/// A host that watches, and what it says.
struct Watched {
    place: Place,
    host: Running,
}

impl Watched {
    fn start(build: &str) -> Watched {
        let place = Place::new(MANIFEST, &fixture("simulated-v1"));
        choose(&place, &fixture("simulated-v1"));
        place.stream([step(0, 1, 1), step(1, 2, 0)]);
        Watched::again(place, build)
    }

    fn again(place: Place, build: &str) -> Watched {
        let mut command = place.running(&["--follow", "--watch", "--build", build]);
        let log = |name: &str| File::create(place.path(name)).expect("a log can be written");
        command.stdout(log("out.log")).stderr(log("err.log"));
        Watched { host: Running::start(command), place }
    }

    fn said(&self) -> String {
        said(&self.place)
    }

    #[track_caller]
    fn until(&mut self, what: &str, happened: impl Fn(&Place) -> bool) {
        let Watched { place, host } = self;
        let came = host.until_or_ended(what, || happened(place));
        assert!(came, "it ended before {what}:\n{}", said(place));
    }

    #[track_caller]
    fn says(&mut self, words: &str) {
        self.until(words, |place| said(place).contains(words));
    }

    #[track_caller]
    fn decides(&mut self, number: u64) {
        let sql = format!("SELECT count(*) FROM entries WHERE kind = 'decided' AND event_id = 'step-{number}'");
        self.until("a decision", |place| crate::tables::number(&place.path(STORE), &sql) == 1);
    }

    fn release(&self) -> String {
        self.place.value(STORE, "SELECT max(generation) FROM releases")
    }
}

fn said(place: &Place) -> String {
    ["out.log", "err.log"].map(|name| fs::read_to_string(place.path(name)).unwrap_or_default()).concat()
}

fn choose(place: &Place, component: &Path) {
    fs::write(place.path("choice.rs"), component.to_str().expect("a path of text")).expect("a source can be written");
}

#[test]
fn what_changes_is_built_shown_and_swapped_in() {
    let mut watched = Watched::start(BUILD);
    watched.decides(2);
    watched.says("it is what is in force");
    choose(&watched.place, &fixture("simulated-v3"));
    watched.says("release 2 is in force");
    let said = watched.said();
    assert!(said.contains("choice.rs has changed") && said.contains("state.turns") && said.contains("within bounds"), "{said}");
    watched.place.append([step(0, 3, 1)]);
    watched.decides(3);
    // Its intent's outcome may have been a turn too.
    let turns = watched.place.state(STORE, "account-0")["turns"].as_u64();
    assert!(turns.is_some_and(|turns| turns >= 1), "{turns:?}");
    let by = watched.place.ask("releases", &["--json"]).well().json()[1]["reason"].clone();
    assert!(by.as_str().is_some_and(|reason| reason.contains("--watch")), "{by}");

    // A build that fails, and a component that no gate lets pass: the release before decides.
    fs::write(watched.place.path("choice.rs"), "nowhere.wasm").expect("a source can be written");
    watched.says("not built: ");
    choose(&watched.place, &fixture("migrate-v1"));
    watched.says("refused: nothing has come into force");
    watched.place.append([step(0, 4, 1)]);
    watched.decides(4);
    assert_eq!(watched.release(), "2");
    // And goes on from there.
    choose(&watched.place, &fixture("simulated-v2"));
    watched.says("release 3 is in force");
    signal(watched.host.child(), "TERM");
    let Watched { place, host } = watched;
    assert_eq!(host.end().code, Some(0));
    place.verifies();
}

/// What an earlier build left is not taken for what cannot be built now.
#[test]
fn what_does_not_build_at_the_start_brings_nothing_into_force() {
    let mut watched = Watched::start(BUILD);
    watched.decides(2);
    watched.says("it is what is in force");
    choose(&watched.place, &fixture("simulated-v3"));
    watched.says("release 2 is in force");
    signal(watched.host.child(), "TERM");
    let Watched { place, host } = watched;
    assert_eq!(host.end().code, Some(0));
    place.ask("rollback", &[]).well();
    fs::write(place.path("choice.rs"), "nowhere.wasm").expect("a source can be written");
    let mut watched = Watched::again(place, BUILD);
    watched.says("not built: ");
    watched.place.append([step(0, 3, 1)]);
    watched.decides(3);
    assert_eq!(watched.release(), "3", "{}", watched.said());
    let release = "SELECT max(release) FROM entries WHERE kind = 'decided'";
    assert_eq!(watched.place.value(STORE, release), "3");
    signal(watched.host.child(), "TERM");
    let Watched { place, host } = watched;
    assert_eq!(host.end().code, Some(0));
    place.verifies();
}

#[test]
fn a_build_ends_with_the_host_and_all_that_it_started() {
    let line = "if [ -e slow.rs ]; then echo $$ > shell.pid; sleep 1000 & echo $! > child.pid; wait; else cp \"$(cat choice.rs)\" swapped.wasm; fi";
    let mut watched = Watched::start(line);
    watched.decides(2);
    watched.says("it is what is in force");
    fs::write(watched.place.path("slow.rs"), "").expect("a source can be written");
    watched.until("a build", |place| alive(&place.path("child.pid")));
    signal(watched.host.child(), "INT");
    let Watched { place, host } = watched;
    assert_eq!(host.end().code, Some(0));
    assert!(!alive(&place.path("child.pid")) && !alive(&place.path("shell.pid")));

    // The same before there is a host.
    fs::remove_file(place.path("child.pid")).expect("it was written");
    let mut host = Running::start(place.running(&["--follow", "--watch", "--build", line]));
    host.until("a build", || alive(&place.path("child.pid")));
    signal(host.child(), "TERM");
    host.end().well();
    assert!(!alive(&place.path("child.pid")) && !alive(&place.path("shell.pid")));
}

/// Whether the process of that file runs.
fn alive(file: &Path) -> bool {
    let id = fs::read_to_string(file).unwrap_or_default();
    let state = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    // One that has ended and that nobody has waited for is none.
    !id.trim().is_empty() && !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_store_that_others_use_and_a_manifest_that_trusts_keys_are_refused() {
    let mut place = Place::new(MANIFEST, &fixture("simulated-v1"));
    place.stream([step(0, 1, 1)]);
    let refused = |place: &Place| -> Done { place.running(&["--watch"]).output().expect("purefold can be started").into() };
    place.mend("[reducer]\n", "[reducer]\ntrusted-keys = [\"RWS8BDodZs8jNMNmt6RBYp5tuWDga/EPykhl2yaWg0IVXZ/Pl6cRh6pn\"]\n");
    let told = refused(&place).exits(2);
    assert!(told.err.contains("trusted-keys"), "{}", told.err);
    place.keep_journal_in(database());
    let told = refused(&place).exits(2);
    assert!(told.err.contains("others may use the store"), "{}", told.err);
    place.ask("run", &["--watch", "--until-idle"]).exits(2);
    place.ask("run", &["--build", "true"]).exits(2);
}

#[test]
fn a_new_project_is_built_by_cargo_as_its_sources_change() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let guest = root().join("reducers/guest");
    let made: Done = purefold(["new", "watched", "--guest", guest.to_str().expect("a path of text")])
        .current_dir(folder.path())
        .output()
        .expect("purefold can be started")
        .into();
    made.well();
    let project = folder.path().join("watched");
    // What it links, which may take long.
    cargo(&project, &["build", "--release", "--target", "wasm32-unknown-unknown"]).well();
    let log = |name: &str| File::create(project.join(name)).expect("a log can be written");
    let mut command = Command::new(program());
    // On what this workspace's crates have brought already; kept from run to run.
    command.args(["run", "watched.toml", "--watch"]).current_dir(&project).env("CARGO_NET_OFFLINE", "true").env("CARGO", env!("CARGO"));
    command.env("CARGO_TARGET_DIR", target_folder().join("new-project")).stdout(log("out.log")).stderr(log("err.log"));
    let mut host = Running::start(command);
    let said = || ["out.log", "err.log"].map(|name| fs::read_to_string(project.join(name)).unwrap_or_default()).concat();
    let entries = "SELECT count(*) FROM entries WHERE kind = 'decided'";
    let came = host.until_or_ended("it decides", || crate::tables::number(&project.join("watched.db"), entries) == 3);
    assert!(came, "{}", said());
    let source = fs::read_to_string(project.join("src/lib.rs")).expect("there is a source");
    let broken = source.replace("use core::time::Duration;", "use core::time::Duraton;");
    fs::write(project.join("src/lib.rs"), broken).expect("a source can be written");
    let came = host.until_or_ended("it is not built", || said().contains("not built: cargo ended with"));
    assert!(came && said().contains("Duraton"), "{}", said());
    let changed = source.replace("Duration::from_secs(60)", "Duration::from_secs(30)");
    assert_ne!(source, changed);
    fs::write(project.join("src/lib.rs"), changed).expect("a source can be written");
    let came = host.until_or_ended("it is swapped in", || said().contains("release 2 is in force"));
    assert!(came && said().contains("state.until"), "{}", said());
    signal(host.child(), "INT");
    assert_eq!(host.end().code, Some(0), "{}", said());
}
