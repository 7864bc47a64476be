//! A world of a test's own on the services that tests share: topics, a database, nodes' ids that nobody else has, and a host with
//! the production manifests.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStderr, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use purefold_nodes::event::ACCEPTED;
use purefold_nodes::random::Random;
use purefold_nodes::{Bus, Fleet, Form, Message, Node, Outgoing, READ_BY_NODES, Received, Topics, WRITTEN_BY_NODES, WRITTEN_BY_REGISTRY};
use purefold_services::Kind;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::backends::database::Database;
use crate::backends::{get, shared, unique};
use crate::client::{Client, Response};
use crate::place::Running;
use crate::program::{Done, purefold, signal, target_folder};
use crate::repository::root;
pub(super) use crate::wire::now;

/// Longest wait for something that should happen at once: a machine under load is slow, a test that hangs says nothing.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Partitions of each topic.
const PARTITIONS: i32 = 2;

/// What the production manifests take the token from. The shared Consul asks for none, and takes any.
const TOKEN: &str = "5ec2e700-7e57-4000-8000-00000000c0de";

/// What must not stand in anything that a host tells or keeps: the token, and the database's password.
pub(super) const SECRETS: [&str; 2] = [TOKEN, "purefold-test@"];

/// Where the manifest says where rows are written.
const RECORDS: &str = "[effects.records]\ncapability = \"table\"\npostgres = \"${DATABASE_URL}\"";

/// The world that tests share which need nothing of their own: it lives as long as one of them.
static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());

/// Where the services are, where they are not those that all tests share.
#[derive(Default)]
pub(super) struct Services {
    pub(super) kafka: Option<String>,
    pub(super) consul: Option<String>,
    pub(super) postgres: Option<String>,
}

/// A host that runs, and what it tells.
struct Host {
    running: Running,
    admin: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// See the module.
pub(super) struct World {
    host: Mutex<Option<Host>>,
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    /// What hosts told that have ended.
    told: Mutex<String>,
    topics: Topics,
    consul: String,
    database: Mutex<Database>,
    brokers: String,
    bus: Bus,
    /// Where events are published, where that is not where they are read.
    elsewhere: Option<Bus>,
    heard: Mutex<Vec<Received>>,
    chance: Mutex<Random>,
    runtime: Runtime,
}

impl World {
    /// The one that is shared: whoever uses it looks at its own nodes alone.
    pub(super) fn shared() -> Arc<World> {
        let mut shared = lock(&SHARED);
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(World::new());
        *shared = Arc::downgrade(&world);
        world
    }

    /// One whose host runs.
    pub(super) fn new() -> World {
        let world = World::without_host(Services::default());
        world.start();
        world
    }

    /// One whose host does not run yet.
    pub(super) fn without_host(services: Services) -> World {
        let prefix = unique("t");
        let topics = Topics::new(&prefix);
        let brokers = services.kafka.unwrap_or_else(|| shared(Kind::Kafka));
        let consul = services.consul.unwrap_or_else(|| shared(Kind::Consul));
        topics.make(&brokers, PARTITIONS).unwrap_or_else(|error| panic!("{error:#}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let database = runtime.block_on(async {
            match &services.postgres {
                Some(address) => Database::at(address).await,
                None => Database::new().await,
            }
        });
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for name in ["registration", "registry"] {
            let manifest = root().join(format!("reducers/{name}/{name}.production.toml"));
            let text = std::fs::read_to_string(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
            // Topics, types and the group of its own; everything else is as it is shipped.
            let text =
                text.replace("\"onex.", &format!("\"{prefix}.")).replace("group = \"registration\"", &format!("group = \"{prefix}\""));
            std::fs::write(folder.path().join(format!("{name}.toml")), text).expect("a manifest can be written");
        }
        let reducers = target_folder().join("reducers");
        let variables = vec![
            ("KAFKA_BROKERS", brokers.clone()),
            ("DATABASE_URL", database.url.clone()),
            ("CONSUL_URL", consul.clone()),
            ("CONSUL_TOKEN", TOKEN.to_owned()),
            ("PUREFOLD_REDUCERS", reducers.display().to_string()),
        ];
        let bus = hearing(&brokers, &topics);
        let chance = Mutex::new(Random::new(seed(&prefix)));
        let (host, heard, told) = (Mutex::new(None), Mutex::default(), Mutex::default());
        let database = Mutex::new(database);
        let world =
            World { host, folder, variables, told, topics, consul, database, brokers, bus, elsewhere: None, heard, chance, runtime };
        world.make_tables();
        world
    }

    fn make_tables(&self) {
        let schema = self.command("schema", &[]).output().expect("purefold can be started");
        let schema = Done::from(schema).well().out;
        self.execute(&schema);
    }

    /// The manifest of that workflow.
    pub(super) fn manifest(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    /// A command about the workflow `registration`.
    pub(super) fn command(&self, name: &str, rest: &[&str]) -> Command {
        self.command_about("registration", name, rest)
    }

    fn command_about(&self, workflow: &str, name: &str, rest: &[&str]) -> Command {
        let mut command = purefold([name]);
        command.arg(self.manifest(workflow)).args(rest).envs(self.variables.iter().cloned());
        command
    }

    /// Runs a command about the workflow `registration` to its end.
    pub(super) fn ask(&self, name: &str, rest: &[&str]) -> Done {
        self.command(name, rest).output().expect("purefold can be started").into()
    }

    /// Starts the host with both workflows, and waits until it takes events.
    pub(super) fn start(&self) {
        self.start_with(&[]);
    }

    /// The same with more in its environment.
    pub(super) fn start_with(&self, variables: &[(&str, &str)]) {
        let mut command = self.command("run", &["--admin", "127.0.0.1:0", "--name", "registry-1"]);
        command.arg(self.manifest("registry")).envs(variables.iter().copied());
        let mut running = Running::start(command);
        let log = Arc::new(Mutex::new(String::new()));
        let (admin, told) = running.listens_within("metrics, health and readiness on http://", &mut lock(&log));
        drain(told, Arc::clone(&log));
        *lock(&self.host) = Some(Host { running, admin, log });
    }

    /// Ends the host in good order.
    pub(super) fn stop(&self) -> Done {
        let mut host = lock(&self.host).take().expect("the host runs");
        signal(host.running.child(), "TERM");
        let done = host.running.end();
        lock(&self.told).push_str(&lock(&host.log));
        done
    }

    /// Ends the host as `kill -9` does.
    pub(super) fn kill(&self) {
        let host = lock(&self.host).take().expect("the host runs");
        host.running.kill();
        lock(&self.told).push_str(&lock(&host.log));
    }

    /// Everything that the hosts told.
    pub(super) fn log(&self) -> String {
        let mut log = lock(&self.told).clone();
        if let Some(host) = &*lock(&self.host) {
            log.push_str(&lock(&host.log));
        }
        log
    }

    /// Asks the host's admin port.
    pub(super) fn admin(&self, path: &str) -> Response {
        let address = lock(&self.host).as_ref().expect("the host runs").admin;
        let mut client = Client::connect(address).expect("the admin port listens");
        client.send("GET", path, &[], "").expect("it can be asked");
        client.receive().expect("it answers")
    }

    /// What `/readyz` says.
    pub(super) fn readiness(&self) -> Value {
        serde_json::from_str(&self.admin("/readyz").body).expect("readiness is JSON")
    }

    /// A sample of `/metrics`.
    pub(super) fn figure(&self, sample: &str) -> Option<f64> {
        self.admin("/metrics").body.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
    }

    /// A node of that kind that nobody knows.
    pub(super) fn node(&self, kind: &'static str) -> Node {
        Node::of_kind(kind, now(), &mut lock(&self.chance))
    }

    /// A UUID that nobody has.
    pub(super) fn uuid(&self) -> String {
        lock(&self.chance).uuid()
    }

    /// Sends an event and waits until the brokers have it.
    pub(super) fn send(&self, message: &Message) {
        // Both forms, one as often as the other.
        let form = if lock(&self.chance).once_in(2) { Form::Structured } else { Form::Binary };
        self.send_all([Outgoing::Event(message.clone(), form)]);
    }

    /// Sends events in this order and waits until the brokers have them.
    pub(super) fn send_all(&self, all: impl IntoIterator<Item = Outgoing>) {
        for outgoing in all {
            self.bus.send(&outgoing).unwrap_or_else(|error| panic!("{error:#}"));
        }
        self.bus.flush().unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// All events that were published of that kind and about that node so far.
    pub(super) fn heard(&self, kind: &str, node: &str) -> Vec<Received> {
        let mut heard = lock(&self.heard);
        for bus in [Some(&self.bus), self.elsewhere.as_ref()].into_iter().flatten() {
            heard.extend(std::iter::from_fn(|| bus.hear(Duration::ZERO)));
        }
        heard.iter().filter(|received| received.kind == kind && (node.is_empty() || received.data["node_id"] == *node)).cloned().collect()
    }

    /// Waits for the first event of that kind about that node; of any where `node` is empty.
    #[track_caller]
    pub(super) fn hears(&self, kind: &str, node: &str) -> Received {
        let mut first = None;
        self.until(kind, || {
            first = self.heard(kind, node).into_iter().next();
            first.is_some()
        });
        first.expect("it was heard")
    }

    /// Waits until `happened`; fails where the host ends before, unless none runs.
    #[track_caller]
    pub(super) fn until(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !happened() {
            let ended = lock(&self.host).as_mut().is_some_and(|host| host.running.child().try_wait().is_ok_and(|ended| ended.is_some()));
            assert!(!ended, "the host ended before {what}:\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The first column of each row, a text.
    pub(super) fn texts(&self, sql: &str) -> Vec<String> {
        self.runtime.block_on(lock(&self.database).texts(sql))
    }

    /// The node's row.
    pub(super) fn row(&self, node: &Node) -> Option<Value> {
        let sql = format!("SELECT row_to_json(r)::text FROM registration_projections r WHERE entity_id = '{}'", node.id);
        let mut rows = self.texts(&sql);
        assert!(rows.len() <= 1, "{rows:?}");
        rows.pop().map(|row| serde_json::from_str(&row).expect("a row is JSON"))
    }

    /// The phase in the node's row.
    pub(super) fn phase(&self, node: &Node) -> Option<String> {
        Some(self.row(node)?["current_state"].as_str().expect("a phase").to_owned())
    }

    /// What the agent has of the node's service.
    pub(super) fn service(&self, node: &Node) -> Option<Value> {
        let response = get(&self.consul, &format!("/v1/agent/service/{}", node.service_id()), "");
        (response.status == 200).then(|| serde_json::from_str(&response.body).expect("a service is JSON"))
    }

    /// Asks Consul.
    pub(super) fn catalogue(&self, path: &str) -> Value {
        serde_json::from_str(&get(&self.consul, path, "").body).expect("the catalogue is JSON")
    }

    /// The node's state, as the journal has it.
    #[track_caller]
    pub(super) fn state(&self, node: &str) -> Value {
        self.state_of("registration", node)
    }

    /// The state of an entity of that workflow.
    #[track_caller]
    pub(super) fn state_of(&self, workflow: &str, entity: &str) -> Value {
        let done: Done = self.command_about(workflow, "state", &[entity, "--json"]).output().expect("purefold can be started").into();
        done.well().json().remove(0)["state"].clone()
    }

    /// The lines of a node's journal; none where nothing was decided yet.
    pub(super) fn journal(&self, node: &str) -> Vec<Value> {
        self.journal_of("registration", node)
    }

    /// The lines of the journal of an entity of that workflow.
    pub(super) fn journal_of(&self, workflow: &str, entity: &str) -> Vec<Value> {
        let done: Done = self.command_about(workflow, "journal", &[entity, "--json"]).output().expect("purefold can be started").into();
        // An unknown key is a negative answer.
        assert!(done.code == Some(0) || done.code == Some(1), "{done:?}");
        done.json()
    }

    /// The decisions of a node, one line each: what came in, how it was decided, and the intents.
    #[track_caller]
    pub(super) fn decisions(&self, node: &str) -> Vec<String> {
        self.journal(node).iter().filter(|entry| entry["kind"] == "decided").map(decision).collect()
    }

    /// Has a node announce itself, and waits until row and service are there.
    #[track_caller]
    pub(super) fn register(&self, node: &mut Node) -> String {
        let announced = node.announce(now(), None).expect("an announcement");
        self.send(&announced);
        self.until("the dual registration", || self.row(node).is_some() && self.service(node).is_some());
        announced.correlation.expect("an announcement has a correlation id")
    }

    /// Registers a node and has it acknowledge what it hears; waits until it is active.
    #[track_caller]
    pub(super) fn activate(&self, node: &mut Node) -> String {
        let correlation = self.register(node);
        let accepted = self.hears(ACCEPTED, &node.id);
        assert_eq!(accepted.correlation().as_deref(), Some(&*correlation));
        self.send(&node.ack(now(), &correlation).expect("an acknowledgement"));
        self.until("that the node is active", || self.phase(node).as_deref() == Some("active"));
        correlation
    }

    /// Asserts that every decision made again is the same and that the chain holds.
    #[track_caller]
    pub(super) fn verifies(&self) {
        for workflow in ["registration", "registry"] {
            let done: Done = self.command_about(workflow, "verify", &["--json"]).output().expect("purefold can be started").into();
            let last = done.well().json().pop().expect("counts");
            assert_eq!(last["mismatches"], 0, "{last}");
            assert!(last["entries"].as_u64().is_some_and(|entries| entries > 0), "{last}");
        }
    }

    /// The dead letters of the workflow `registration`.
    #[track_caller]
    pub(super) fn dead_letters(&self) -> Vec<Value> {
        self.ask("dead-letters", &["list", "--json"]).well().json()
    }

    /// A seed that nobody else has.
    pub(super) fn seed(&self) -> u64 {
        lock(&self.chance).below(u64::MAX)
    }

    /// What nodes send with.
    pub(super) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Has a fleet live until something has happened.
    #[track_caller]
    pub(super) fn live(&self, fleet: &mut Fleet, what: &str, mut happened: impl FnMut(&Fleet) -> bool) {
        let bus = Bus::connect(&self.brokers, self.topics.clone(), &READ_BY_NODES).unwrap_or_else(|error| panic!("{error:#}"));
        self.until(what, || {
            for outgoing in fleet.advance(now()).unwrap() {
                bus.send(&outgoing).unwrap_or_else(|error| panic!("{error:#}"));
            }
            while let Some(received) = bus.hear(Duration::from_millis(1)) {
                fleet.hear(&received, now());
            }
            happened(fleet)
        });
        bus.flush().unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Executes statements.
    pub(super) fn execute(&self, sql: &str) {
        self.runtime.block_on(lock(&self.database).execute(sql));
    }

    /// Connects again, after the database was away.
    pub(super) fn reconnect(&self) {
        self.runtime.block_on(lock(&self.database).reconnect());
    }

    /// Lines of the log that are warnings or errors.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).map(str::to_owned).collect()
    }

    /// Changes the manifest of that workflow.
    #[track_caller]
    pub(super) fn mend(&self, workflow: &str, from: &str, to: &str) {
        let manifest = self.manifest(workflow);
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains(from), "the manifest has no {from:?}:\n{text}");
        std::fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
    }

    /// Has the workflow `registration` publish to other brokers, `${EVENTS_BROKERS}`; what is heard is heard there.
    pub(super) fn events_at(&mut self, brokers: &str) {
        let publishes = "capability = \"publish\"\nkafka = ";
        self.mend("registration", &format!("{publishes}\"${{KAFKA_BROKERS}}\""), &format!("{publishes}\"${{EVENTS_BROKERS}}\""));
        self.topics.make(brokers, PARTITIONS).unwrap_or_else(|error| panic!("{error:#}"));
        self.variables.push(("EVENTS_BROKERS", brokers.to_owned()));
        self.elsewhere = Some(hearing(brokers, &self.topics));
    }

    /// Has rows be written to a database of their own on another server, `${RECORDS_URL}`.
    pub(super) fn records_at(&mut self, server: &str) -> Database {
        self.mend("registration", RECORDS, &RECORDS.replace("DATABASE_URL", "RECORDS_URL"));
        let database = self.runtime.block_on(Database::at(server));
        self.variables.push(("RECORDS_URL", database.url.clone()));
        let schema = self.ask("schema", &["--effect", "records"]).well().out;
        self.runtime.block_on(database.execute(&schema));
        database
    }

    /// The first column of each row of a query elsewhere.
    pub(super) fn texts_at(&self, url: &str, sql: &str) -> Vec<String> {
        self.runtime.block_on(async { Database::of(url).await.texts(sql).await })
    }
}

/// A connection to the brokers that hears all that was and will be written.
fn hearing(brokers: &str, topics: &Topics) -> Bus {
    let heard: Vec<&str> = WRITTEN_BY_NODES.into_iter().chain(WRITTEN_BY_REGISTRY).collect();
    Bus::connect_from_the_beginning(brokers, topics.clone(), &heard).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The middle one.
pub(super) fn median(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}

/// A limit on this machine at this moment: as much longer as a short nap takes here than it should.
pub(super) fn at_this_moment(limit: Duration) -> Duration {
    const NAP: Duration = Duration::from_millis(2);
    let naps = (0..25).map(|_| {
        let begun = Instant::now();
        std::thread::sleep(NAP);
        begun.elapsed()
    });
    limit.mul_f64(median(naps.collect()).div_duration_f64(NAP).max(1.0))
}

fn decision(entry: &Value) -> String {
    let case = |value: &Value| value.as_object().and_then(|record| record.keys().next()).cloned().unwrap_or_default();
    let input = case(&entry["input"]);
    let decided = &entry["decision"];
    match decided["accepted"]["intents"].as_array() {
        Some(intents) => {
            format!("{input}: accepted: {}", intents.iter().map(case).collect::<Vec<_>>().join(" ")).trim_end_matches(": ").to_owned()
        }
        None => format!("{input}: {decided}"),
    }
}

/// Reads what the host tells until it ends, so that it can go on telling.
fn drain(mut told: BufReader<ChildStderr>, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut line = String::new();
        while told.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            lock(&log).push_str(&line);
            line.clear();
        }
    });
}

/// So many seconds, in microseconds.
pub(super) const fn seconds(seconds: u64) -> u64 {
    seconds * 1_000_000
}

/// A number from a text that nobody else has.
fn seed(text: &str) -> u64 {
    text.bytes().fold(now(), |seed, byte| seed.rotate_left(7) ^ u64::from(byte))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while it held it has said so.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
