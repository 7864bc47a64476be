//! Waiting until everything that was sent is decided and done.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::hosts::Host;
use super::stage::{Stage, WORKFLOWS};
use super::topics;

/// Longest wait for rest, on a machine that has other things to do. What is longest in it: a group that misses a member, timers
/// that wait for the source, breakers that are open, and retries.
const REST_MAX: Duration = Duration::from_secs(300);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often intents are tried again that were given up and wait for an operator.
const REDRIVE_EVERY: Duration = Duration::from_secs(10);

/// How often hosts are ended to find everything at rest: a timer may fall due in the last moment.
const ENDS_MAX: usize = 5;

/// What is left to do, by the tables of the store.
const LEFT: &str = "SELECT json_build_object(
    'outstanding', (SELECT count(*) FROM outbox), 'held', (SELECT count(*) FROM outbox WHERE status = 'held'),
    'waiting', (SELECT count(*) FROM inbox) + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM forwarded),
    'due', (SELECT count(*) FROM timers WHERE due < extract(epoch FROM now()) * 1000000))::text";

#[derive(Debug, Deserialize)]
struct Left {
    outstanding: u64,
    held: u64,
    waiting: u64,
    due: u64,
}

impl Left {
    fn of(stage: &Stage) -> Left {
        serde_json::from_str(&stage.database.rows(LEFT).remove(0)).expect("counts")
    }
}

/// Waits until nothing is left to do and every host is ready, and ends the hosts. Gives how many intents an operator had to have
/// tried again.
pub(super) fn come_to_rest(stage: &Stage, hosts: &mut [Host<'_>]) -> u64 {
    let begun = Instant::now();
    let mut redriven = 0;
    for _ in 0..ENDS_MAX {
        redriven += wait(stage, hosts, begun);
        for host in &mut *hosts {
            let code = host.end();
            if code != Some(0) {
                stage.chronicle.fault(format!("{} ended: {code:?}", host.name));
            }
        }
        let left = Left::of(stage);
        if left.outstanding + left.waiting == 0 && lag(stage) == 0 {
            stage.chronicle.tell(format!("all is at rest; {redriven} intents were tried again by an operator"));
            return redriven;
        }
        stage.chronicle.tell(format!("not all was at rest: {left:?}"));
        for host in &mut *hosts {
            host.come_up();
        }
    }
    panic!("no rest after {ENDS_MAX} ends of all hosts:\n{}", stage.chronicle.text());
}

fn wait(stage: &Stage, hosts: &mut [Host<'_>], begun: Instant) -> u64 {
    let mut redrive = Instant::now();
    let mut redriven = 0;
    loop {
        for host in &mut *hosts {
            host.look();
        }
        let left = Left::of(stage);
        let not_ready: Vec<String> = hosts.iter_mut().filter_map(|host| host.ready().err()).collect();
        let lag = lag(stage);
        if left.outstanding + left.waiting + left.due + lag == 0 && not_ready.is_empty() {
            return redriven;
        }
        if left.held > 0 && Instant::now() >= redrive {
            redrive = Instant::now() + REDRIVE_EVERY;
            redriven += redrive_all(stage);
        }
        assert!(
            begun.elapsed() < REST_MAX,
            "not at rest within {REST_MAX:?}: {left:?}, {lag} records not read, {not_ready:?}\n{}\n{}",
            stage.chronicle.text(),
            standing(stage)
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Who has which shards, and what waits in them.
fn standing(stage: &Stage) -> String {
    let queries = [
        "SELECT 'host', name, epoch, until - (extract(epoch FROM now()) * 1000000)::bigint AS left FROM hosts",
        "SELECT 'shards', epoch, count(*), min(shard), max(shard) FROM shards GROUP BY epoch",
        "SELECT 'outstanding', shards.epoch, effect, status, count(*) FROM outbox JOIN entities ON entities.id = outbox.entity \
         JOIN shards ON shards.shard = entities.shard GROUP BY shards.epoch, effect, status",
        "SELECT 'forwarded', shards.epoch, count(*) FROM forwarded JOIN shards ON shards.shard = forwarded.shard GROUP BY shards.epoch",
        "SELECT 'position', name, next_line FROM sources",
        "SELECT 'timer', shards.epoch, count(*) FROM timers JOIN entities ON entities.id = timers.entity \
         JOIN shards ON shards.shard = entities.shard WHERE due < extract(epoch FROM now()) * 1000000 GROUP BY shards.epoch",
    ];
    let mut standing: Vec<String> = queries.iter().flat_map(|sql| stage.database.rows(sql)).collect();
    standing.extend(topics::ends(&stage.brokers).into_iter().map(|(name, end)| format!("end | {name} | {end}")));
    standing.join("\n")
}

/// What an operator does about intents that were given up. What the command says is no matter: the counts tell.
fn redrive_all(stage: &Stage) -> u64 {
    let done = WORKFLOWS.map(|workflow| stage.ask(workflow, "intents", &["redrive", "--all", "--json"]));
    done.iter().map(|done| done.out.lines().count() as u64).sum()
}

/// Records of the topics that are read which no position is past.
fn lag(stage: &Stage) -> u64 {
    let sql = "SELECT sources.name, next_line FROM sources JOIN workflows ON workflows.id = sources.workflow \
               WHERE workflows.name = 'registration'";
    let positions: Vec<(String, u64)> = stage
        .database
        .rows(sql)
        .iter()
        .filter_map(|row| row.split_once(" | ").and_then(|(name, line)| Some((name.to_owned(), line.parse().ok()?))))
        .collect();
    let position = |name: &str| positions.iter().find(|(known, _)| known == name).map_or(0, |(_, line)| *line);
    topics::ends(&stage.brokers).into_iter().map(|(name, end)| end.saturating_sub(position(&name))).sum()
}
