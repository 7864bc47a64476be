//! A folder of its own in which a workflow runs: manifest, component, stream of events, and what the host leaves there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Done, end, fixture, purefold, reducer};
use crate::repository::root;
use crate::store::Database;
use crate::tables;

/// The same journal everywhere, so that intent ids and seeds are the same in two runs.
const JOURNAL: &str = "7e570000-0000-4000-8000-000000000001";

/// The stream that a test writes.
const STREAM: &str = "stream.jsonl";

/// Longest wait for something that should happen at once: a machine under load is slow, a test that hangs says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a test runs a stream: to its end, on the events' own time, and five minutes beyond.
const TO_THE_END: &[&str] = &["--clock", "event", "--until-idle", "--advance", "5m"];

/// A workflow in a folder of its own.
pub(crate) struct Place {
    folder: TempDir,
    manifest: PathBuf,
    variables: Vec<(String, String)>,
    /// Where the journal is, if not in the file of that name.
    journal: Option<(String, Database)>,
}

impl Place {
    /// A workflow with this manifest and this component, which the manifest names.
    pub(crate) fn new(manifest: &str, component: &Path) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("workflow.toml");
        let place = Place { manifest: path, folder, variables: Vec::new(), journal: None };
        fs::write(&place.manifest, manifest).expect("the manifest can be written");
        place.install(component);
        if !manifest.contains("\nid = ") {
            place.mend("[store]\n", &format!("[store]\nid = \"{JOURNAL}\"\n"));
        }
        place
    }

    /// The reference workflow on its embedded backends, as the repository ships it.
    pub(crate) fn registration() -> Place {
        Place::new(&read(&root().join("reducers/registration/registration.toml")), &reducer("registration"))
    }

    /// The workflow of orders, with its payment service at this port of the loopback.
    pub(crate) fn orders(payment_port: u16) -> Place {
        let mut place = Place::new(&read(&root().join("reducers/orders/orders.toml")), &reducer("orders"));
        place.variable("PAYMENT_PORT", &payment_port.to_string());
        place
    }

    /// A workflow whose reducer commits the misdeed that its input names.
    pub(crate) fn misbehaving() -> Place {
        Place::new(&read(&root().join("reducers/fixtures/manifests/misbehaving.toml")), &fixture("misbehaving"))
    }

    /// Puts a component beside the manifest, in the place of the one that was there.
    pub(crate) fn install(&self, component: &Path) {
        let name =
            self.manifest_text().parse::<toml::Table>().expect("the manifest is TOML")["reducer"]["component"].as_str().map(str::to_owned);
        let name = name.expect("the manifest names a component");
        fs::copy(component, self.path(&name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", component.display()));
    }

    /// Keeps the journal in a PostgreSQL database. Queries on the file that it would be in are asked there.
    pub(crate) fn keep_journal_in(&mut self, database: Database) {
        let manifest: toml::Table = self.manifest_text().parse().expect("the manifest is TOML");
        let file = manifest["store"]["sqlite"].as_str().expect("the journal is in a file").to_owned();
        self.mend(&format!("sqlite = \"{file}\""), "postgres = \"${STORE_URL}\"");
        self.variable("STORE_URL", &database.url);
        self.journal = Some((file, database));
    }

    /// The database that the journal is kept in.
    pub(crate) fn journal(&self) -> &Database {
        self.journal.as_ref().map(|(_, database)| database).expect("the journal is in a database")
    }

    /// Sets a variable of the environment in which the program runs.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Changes the manifest.
    #[track_caller]
    pub(crate) fn mend(&self, from: &str, to: &str) {
        let text = self.manifest_text();
        assert!(text.contains(from), "the manifest has no {from:?}:\n{text}");
        fs::write(&self.manifest, text.replacen(from, to, 1)).expect("the manifest can be written");
    }

    fn manifest_text(&self) -> String {
        read(&self.manifest)
    }

    /// The manifest's path.
    pub(crate) fn manifest(&self) -> &Path {
        &self.manifest
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the files that there are.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder can be listed");
        let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Writes the stream anew.
    pub(crate) fn stream<L: AsRef<str>>(&self, lines: impl IntoIterator<Item = L>) {
        fs::write(self.path(STREAM), joined(lines)).expect("the stream can be written");
    }

    /// Adds to the stream's end.
    pub(crate) fn append<L: AsRef<str>>(&self, lines: impl IntoIterator<Item = L>) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(STREAM)).expect("there is a stream");
        file.write_all(joined(lines).as_bytes()).expect("the stream can be written");
    }

    /// Copies a stream.
    pub(crate) fn stream_from(&self, file: &Path) {
        fs::copy(file, self.path(STREAM)).expect("the stream can be copied");
    }

    /// Cuts the stream off after so many bytes.
    pub(crate) fn cut_stream(&self, bytes: u64) {
        let file = fs::OpenOptions::new().write(true).open(self.path(STREAM)).expect("there is a stream");
        file.set_len(bytes).expect("the stream can be cut");
    }

    /// A command on this workflow: its name, the manifest, the rest.
    pub(crate) fn command(&self, name: &str, rest: &[&str]) -> Command {
        let mut command = purefold([name]);
        command.arg(&self.manifest).args(rest).envs(self.variables.iter().cloned());
        command
    }

    /// Runs a command on this workflow to its end.
    pub(crate) fn ask(&self, name: &str, rest: &[&str]) -> Done {
        self.command(name, rest).output().expect("purefold can be started").into()
    }

    /// `purefold run` over the stream, ready to start.
    pub(crate) fn running(&self, options: &[&str]) -> Command {
        let mut command = self.command("run", &["--events"]);
        command.arg(self.path(STREAM)).args(options);
        command
    }

    /// `purefold run` over the stream and five minutes beyond, on virtual time, ready to start.
    pub(crate) fn running_to_the_end(&self) -> Command {
        self.running(TO_THE_END)
    }

    /// Runs the stream to its end and five minutes beyond, on virtual time.
    pub(crate) fn run(&self) -> Done {
        self.running_to_the_end().output().expect("purefold can be started").into()
    }

    /// Runs what the stream has, on virtual time, and lets no time pass after it. Gives the summary.
    #[track_caller]
    pub(crate) fn run_as_far_as_the_stream(&self) -> Value {
        let done: Done = self.running(&["--clock", "event", "--until-idle", "--json"]).output().expect("purefold can be started").into();
        done.well().json().pop().expect("a summary")
    }

    /// The rows of a query on a database of the folder; columns stand apart by ` | `.
    #[track_caller]
    pub(crate) fn rows(&self, database: &str, sql: &str) -> Vec<String> {
        match &self.journal {
            Some((file, journal)) if database == file => journal.rows(sql),
            _ => tables::rows(&self.path(database), sql),
        }
    }

    /// The one value of a query.
    #[track_caller]
    pub(crate) fn value(&self, database: &str, sql: &str) -> String {
        let mut rows = self.rows(database, sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    /// An entity's state, as the host tells it.
    #[track_caller]
    pub(crate) fn state(&self, database: &str, entity: &str) -> Value {
        let sql = format!("SELECT state FROM states WHERE entity = '{entity}'");
        serde_json::from_str(&self.value(database, &sql)).expect("a state is JSON")
    }

    /// The events that were published to a file, in its order.
    pub(crate) fn published(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(file)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a published event is JSON")).collect()
    }

    /// Asserts that `verify` finds nothing.
    #[track_caller]
    pub(crate) fn verifies(&self) {
        let done = self.ask("verify", &["--json"]).well();
        let last = done.json().pop().expect("counts");
        assert_eq!(last["mismatches"], 0, "{}", done.out);
        assert!(last["entries"].as_u64().is_some_and(|entries| entries > 0), "{}", done.out);
    }
}

/// A process that is killed where a test fails before its end.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Starts the command.
    pub(crate) fn start(mut command: Command) -> Running {
        Running(Some(command.spawn().expect("purefold can be started")))
    }

    /// The process.
    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it runs")
    }

    /// Waits until it tells on standard error that it listens: the address after `before`. The reader is to be kept, so that
    /// the process can go on writing.
    #[track_caller]
    pub(crate) fn listens(&mut self, before: &str) -> (SocketAddr, BufReader<ChildStderr>) {
        self.listens_within(before, &mut String::new())
    }

    /// The same; what it tells before is added to `log`.
    #[track_caller]
    pub(crate) fn listens_within(&mut self, before: &str, log: &mut String) -> (SocketAddr, BufReader<ChildStderr>) {
        let mut told = BufReader::new(self.child().stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        loop {
            line.clear();
            let bytes = told.read_line(&mut line).expect("standard error can be read");
            log.push_str(&line);
            assert!(bytes > 0, "it ended before it listened:\n{log}");
            if let Some(address) = line.strip_prefix(before) {
                return (address.trim().parse().expect("an address"), told);
            }
        }
    }

    /// Waits until `happened`, and fails where the process ends before.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, happened: impl FnMut() -> bool) {
        assert!(self.until_or_ended(what, happened), "it ended before {what}");
    }

    /// Waits until `happened` or the process ended; true where it happened.
    #[track_caller]
    pub(crate) fn until_or_ended(&mut self, what: &str, mut happened: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        loop {
            let ended = self.child().try_wait().expect("it can be waited for").is_some();
            if happened() {
                return true;
            }
            if ended {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Done {
        end(self.0.take().expect("it runs"))
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        let mut child = self.0.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself; either way nobody waits for it any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn joined<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.as_ref())).collect()
}
