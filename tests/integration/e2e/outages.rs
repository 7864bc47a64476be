//! Each service fails by itself, under light load: it is killed and comes back, then it hangs and goes on. `/readyz`, a figure and
//! one line of the log name it, and one line says that it is back. Nothing is lost, and the host is the same process all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purefold_nodes::{Form, Node, Outgoing};
use purefold_services::{Consul, Instance};

use super::world::{Services, World, now};
use crate::backends::cache;

/// A node announces itself this often.
const PACE: Duration = Duration::from_millis(200);

/// How long a service is away after it was noticed: long enough for a flood of lines.
const OUTAGE: Duration = Duration::from_secs(2);

/// Where the outage of a service is to be seen.
struct Signs {
    /// Whether events are taken meanwhile.
    ready: bool,
    /// What `/readyz` says.
    told: &'static str,
    /// The figure that is 1 meanwhile.
    figure: &'static str,
    /// What the lines of the log have in common, what the first says besides, and what the second does.
    line: [&'static str; 3],
}

/// Settings by which what hangs is noticed sooner than by the defaults.
fn impatient(world: &World) {
    for section in ["[store]\n", "[effects.records]\n", "[effects.services]\n", "[effects.events]\n"] {
        world.mend("registration", section, &format!("{section}timeout = \"1s\"\n"));
    }
    for section in ["[store]\n", "[effects.events]\n"] {
        world.mend("registry", section, &format!("{section}timeout = \"1s\"\n"));
    }
}

/// Breaks `service` twice under load, and waits until of every node is `there` what should be. Lines of the log may be `also` about
/// something else that the service does.
fn broken(world: &World, service: &mut Instance, signs: &Signs, also: &[&str], there: impl Fn(&Node) -> bool) -> Node {
    impatient(world);
    world.start();
    world.until("that all is well", || world.admin("/readyz").status == 200);
    let over = AtomicBool::new(false);
    let mut nodes = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut nodes = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut node = world.node("effect");
                let announced = node.announce(now(), None).unwrap();
                world.bus().send(&Outgoing::Event(announced, Form::Binary)).unwrap();
                nodes.push(node);
                std::thread::sleep(PACE);
            }
            nodes
        });
        // The load ends however this does.
        let over = Raised(&over);
        for hangs in [false, true] {
            std::thread::sleep(OUTAGE);
            if hangs { service.pause() } else { service.kill() }.unwrap();
            world.until(&format!("{} is 1", signs.figure), || world.figure(signs.figure) == Some(1.0));
            let response = world.admin("/readyz");
            let list = &response.json()[if signs.ready { "degraded" } else { "reasons" }];
            assert_eq!(response.status, if signs.ready { 200 } else { 503 }, "{response:?}");
            assert!(list.to_string().contains(signs.told), "{response:?}");
            assert_eq!(world.admin("/healthz").status, 200, "the host lives");
            std::thread::sleep(OUTAGE);
            if hangs { service.resume() } else { service.start_again() }.unwrap();
            world.until(&format!("{} is 0", signs.figure), || world.figure(signs.figure) == Some(0.0));
            world.until("that all is well", || {
                world.admin("/readyz").status == 200 && world.readiness()["degraded"] == serde_json::json!([])
            });
        }
        drop(over);
        load.join().unwrap()
    });
    world.send_all([]);
    world.reconnect();
    delivered(world, &nodes, there);
    let complaints = world.complaints();
    let [about, begins, ends] = signs.line;
    for part in [begins, ends] {
        let count = complaints.iter().filter(|line| line.contains(about) && line.contains(part)).count();
        // One that wakes may first break off what it had begun before it slept: a third line, and as true as the others.
        assert!((2..=3).contains(&count), "{about:?} {part:?} once for each outage:\n{}", complaints.join("\n"));
    }
    let others: Vec<&String> =
        complaints.iter().filter(|line| !line.contains(about) && !also.iter().any(|also| line.contains(also))).collect();
    assert!(others.is_empty(), "{others:#?}");
    nodes.pop().unwrap()
}

/// Waits until of every node is there what should be, and its registration is told as complete.
fn delivered(world: &World, nodes: &[Node], there: impl Fn(&Node) -> bool) {
    assert!(nodes.len() > 20, "there was load");
    for node in nodes {
        world.until("the registration", || there(node));
        let result = world.hears("onex.evt.platform.node-registration-result.v1", &node.id);
        assert_eq!(result.data["status"], "complete", "{}", result.data);
    }
    assert!(world.dead_letters().is_empty());
    world.verifies();
}

/// Whether a node has its row and its service.
fn registered(world: &World, node: &Node) -> bool {
    world.row(node).is_some() && world.service(node).is_some()
}

/// A flag that is raised at the end, however that comes.
struct Raised<'f>(&'f AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const EFFECT: [&str; 2] = ["the effect does not work", "the effect works again"];

#[test]
fn brokers_that_are_read_from() {
    let mut kafka = Instance::kafka(&cache()).unwrap();
    let world = World::without_host(Services { kafka: Some(kafka.address().to_owned()), ..Services::default() });
    let line = ["Kafka", "the Kafka brokers do not answer", "the Kafka source works again"];
    let signs = Signs { ready: false, told: "the Kafka brokers do not answer", figure: "purefold_source_down", line };
    // What was being published when it happened.
    broken(&world, &mut kafka, &signs, &["effect=events"], |node| registered(&world, node));
}

#[test]
fn brokers_that_are_published_to() {
    let mut kafka = Instance::kafka(&cache()).unwrap();
    let mut world = World::without_host(Services::default());
    world.events_at(kafka.address());
    let line = ["workflow=registration effect=events", EFFECT[0], EFFECT[1]];
    let figure = "purefold_effect_down{workflow=\"registration\",effect=\"events\"}";
    let signs = Signs { ready: true, told: "effect events of registration does not work: ", figure, line };
    broken(&world, &mut kafka, &signs, &[], |node| registered(&world, node));
}

#[test]
fn the_agent_of_consul() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let world = World::without_host(Services { consul: Some(consul.address().to_owned()), ..Services::default() });
    let line = ["workflow=registration effect=services", EFFECT[0], EFFECT[1]];
    let figure = "purefold_effect_down{workflow=\"registration\",effect=\"services\"}";
    let signs = Signs { ready: true, told: "effect services of registration does not work: ", figure, line };
    // What it had before it was killed it has forgotten: it keeps nothing on a disk.
    let last = broken(&world, &mut consul, &signs, &[], |node| world.row(node).is_some());
    assert!(registered(&world, &last));
}

#[test]
fn the_rows_database() {
    let mut records = Instance::postgres().unwrap();
    let mut world = World::without_host(Services::default());
    let url = world.records_at(records.address()).url;
    let line = ["workflow=registration effect=records", EFFECT[0], EFFECT[1]];
    let figure = "purefold_effect_down{workflow=\"registration\",effect=\"records\"}";
    let signs = Signs { ready: true, told: "effect records of registration does not work: ", figure, line };
    broken(&world, &mut records, &signs, &[], |node| {
        let count = format!("SELECT count(*)::text FROM registration_projections WHERE entity_id = '{}'", node.id);
        world.texts_at(&url, &count) == ["1"] && world.service(node).is_some()
    });
}

#[test]
fn the_journals_database() {
    let mut postgres = Instance::postgres().unwrap();
    let world = World::without_host(Services { postgres: Some(postgres.address().to_owned()), ..Services::default() });
    let line = ["the store", "no events are taken until the store works again", "WARN purefold::observe: the store works again"];
    let signs = Signs { ready: false, told: "the store", figure: "purefold_store_down", line };
    // The rows are there too; and a lease that is over by then is taken anew.
    broken(&world, &mut postgres, &signs, &["effect=records", "this engine is overtaken"], |node| registered(&world, node));
}
