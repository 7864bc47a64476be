//! The acceptance of the reference domain, A0 to A6, on the embedded backends.

mod a0_purity_gate;
mod a1_introspection_publish;
mod a2_two_way_loop;
mod a3_dual_registration;
mod a4_idempotent_replay;
mod a5_determinism;
mod a6_observability;

use std::time::Duration;

use purefold::engine::{self, Clock, Options, Summary};
use purefold::sandbox::Sandbox;
use purefold::source::Feed;
use purefold::workflow;

use crate::place::Place;

/// Runs a place's stream to its end by the library.
pub(crate) fn run_by_library(place: &Place, perform: bool, workers: usize) -> Summary {
    let workflow = workflow::load(place.manifest()).unwrap_or_else(|findings| panic!("{findings:?}"));
    let sandbox = Sandbox::new().expect("there is a sandbox");
    let feed = Some(Feed::File(place.path("stream.jsonl")));
    let options =
        Options { clock: Clock::Event, until_idle: true, perform, feed, workers, advance: Duration::from_secs(300), ..Options::default() };
    let (engine, _stopper) = engine::start(vec![workflow], &sandbox, &options).expect("the engine starts");
    engine.run(|_| {}).expect("the engine runs")
}

/// The decisions of an entity, one line each: what came in, how it was decided, and the intents.
#[track_caller]
fn decisions(place: &Place, entity: &str) -> Vec<String> {
    let sql = format!(
        "SELECT (SELECT key FROM json_each(input)), verdict, CASE verdict
            WHEN 'accepted' THEN coalesce((SELECT group_concat((SELECT key FROM json_each(intent.value)), ' ') FROM json_each(output) AS intent), '')
            ELSE output END
         FROM entries WHERE entity = '{entity}' AND kind = 'decided' ORDER BY sequence"
    );
    place.rows("registration.db", &sql).into_iter().map(|row| row.replace(" | ", ": ").trim_end_matches(": ").to_owned()).collect()
}
