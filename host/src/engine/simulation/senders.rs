//! Those who send events and wait for an answer: what has none is sent again, as senders do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::host::Host;
use super::knowledge::Knowledge;
use super::scenario::Scenario;
use super::world::Shared;
use crate::source::{Decided, Decoded, Fate, Reply, Taken, TakenRequest, Ticket};

/// Events that are sent together.
const MOST_TOGETHER: usize = 3;

/// What a sender knows of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// It was refused.
    Refused,
    /// Nothing: it stopped asking.
    Nothing,
    /// It was taken, now or before.
    Taken,
}

struct Post {
    /// Index of the event among the scenario's lines.
    line: usize,
    /// Not sent before.
    next: Duration,
    /// Sent, and not waited for any longer than this.
    waits: Option<(Receiver<Reply>, Duration)>,
    /// How often it is sent before its sender lets it be.
    tries: u32,
    /// Whether a full inbox does not keep it from coming again.
    stubborn: bool,
    known: Option<Known>,
    /// Its last place among what was sent.
    place: usize,
}

/// All senders of a run. They outlive the host's crashes.
pub(super) struct Senders {
    posts: Vec<Post>,
    /// What was sent, in order: the event's id, and whether it was refused.
    sent: Vec<(String, bool)>,
}

impl Senders {
    pub(super) fn of(scenario: &Scenario, rng: &mut StdRng) -> Self {
        let posts = scenario.lines.iter().enumerate().filter(|_| scenario.requests).map(|(line, of)| {
            let tries = if rng.random_ratio(1, 6) { rng.random_range(1..4) } else { u32::MAX };
            let stubborn = rng.random_ratio(1, 2);
            Post { line, next: of.available, waits: None, tries, stubborn, known: None, place: 0 }
        });
        Senders { posts: posts.collect(), sent: Vec::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.posts.iter().all(|post| post.known.is_some())
    }

    /// What is known of each event, by its id: the best of what its senders know.
    pub(super) fn known(&self, scenario: &Scenario) -> BTreeMap<String, Known> {
        let mut known = BTreeMap::new();
        for post in &self.posts {
            let Some(event) = &scenario.lines[post.line].event else { continue };
            let known = known.entry(event.id.clone()).or_insert(Known::Refused);
            *known = (*known).max(post.known.unwrap_or(Known::Nothing));
        }
        known
    }

    /// What the host was sent, in order, but for what it refused.
    pub(super) fn taken(&self) -> impl Iterator<Item = &str> {
        self.sent.iter().filter(|(_, refused)| !refused).map(|(id, _)| id.as_str())
    }

    /// Sends what is due.
    fn send(&mut self, host: &Host, scenario: &Scenario, rng: &mut StdRng) {
        let now = host.elapsed();
        let mut sent = Vec::new();
        let mut batch = Vec::new();
        for (index, post) in self.posts.iter_mut().enumerate().filter(|(_, post)| post.known.is_none() && post.waits.is_none()) {
            if post.next > now || batch.len() >= MOST_TOGETHER {
                continue;
            }
            // As the door does: what no workflow can take is refused at once.
            let Ok(taken) = host.decode(&scenario.lines[post.line].bytes) else {
                post.known = Some(Known::Refused);
                continue;
            };
            let (ticket, reply) = Ticket::new(rng.random_ratio(1, 2));
            batch.push(Taken::Request(TakenRequest { taken, ticket }));
            sent.push((index, reply, now + Duration::from_millis(rng.random_range(20..4000))));
        }
        if batch.is_empty() {
            return;
        }
        let is_taken = host.post(batch);
        for (index, reply, until) in sent {
            let post = &mut self.posts[index];
            if is_taken {
                post.place = self.sent.len();
                self.sent.push((scenario.lines[post.line].event.as_ref().map_or_else(String::new, |event| event.id.clone()), false));
                post.waits = Some((reply, until));
            } else {
                post.next = now + Duration::from_millis(rng.random_range(10..500));
            }
        }
    }

    /// Answers are heard, and events sent. Gives what is wrong with the answers.
    pub(super) fn go_on(&mut self, host: &mut Host, scenario: &Scenario, world: &Shared, rng: &mut StdRng) -> Vec<String> {
        let wrong = self.hear(scenario, &world.lock().knowledge, host.elapsed(), rng);
        self.send(host, scenario, rng);
        wrong
    }

    /// Hears the answers, and holds them to what is durable. Gives what is wrong with them.
    fn hear(&mut self, scenario: &Scenario, knowledge: &Knowledge, now: Duration, rng: &mut StdRng) -> Vec<String> {
        let mut wrong = Vec::new();
        for post in &mut self.posts {
            let Some((reply, until)) = &mut post.waits else { continue };
            match reply.try_recv() {
                Ok(reply) => {
                    let id = scenario.lines[post.line].event.as_ref().map_or("", |event| &event.id);
                    post.waits = None;
                    let refused = matches!(reply.fate, Fate::Refused(_));
                    self.sent[post.place].1 = refused;
                    let is_full = matches!(&reply.fate, Fate::Refused(why) if why.code == "inbox-full");
                    if is_full && post.stubborn && post.tries > 1 {
                        post.tries -= 1;
                        post.next = now + Duration::from_millis(rng.random_range(10..3000));
                        continue;
                    }
                    post.known = Some(if refused { Known::Refused } else { Known::Taken });
                    if post.known == Some(Known::Taken) && !knowledge.has_event(id) {
                        wrong.push(format!("{id} was answered as {:?} and is not durable", reply.fate));
                    }
                    wrong.extend(reply.decisions.iter().filter_map(|told| differs(id, told, knowledge)));
                    continue;
                }
                Err(TryRecvError::Empty) if now < *until => continue,
                // The host died, or takes its time.
                Err(_) => {}
            }
            post.waits = None;
            post.next = now + Duration::from_millis(rng.random_range(0..2000));
            post.tries -= 1;
            if post.tries == 0 {
                post.known = Some(Known::Nothing);
            }
        }
        wrong
    }
}

/// Whether a decision that was told is not the one that is durable.
fn differs(id: &str, told: &Decided, knowledge: &Knowledge) -> Option<String> {
    let Some(decision) = &told.decision else {
        // Nor is the decision of another host waited for at any length.
        return (!knowledge.waited.contains(id) && !knowledge.forwarded.contains(id))
            .then(|| format!("{id} was told to wait in an inbox, and stands in none"));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let as_told = |entry: &super::knowledge::Entry| {
        entry.verdict.as_deref() == Some(decision.verdict.as_str())
            && entry.state == decision.state.as_deref().map(text)
            && entry.output == text(&decision.output)
    };
    // What was erased before another host's decision was looked for is told as it stands then.
    if decision.output.is_empty() && knowledge.forwarded.contains(id) {
        return None;
    }
    let is_durable = knowledge.decision(&told.entity, decision.sequence, id).is_some_and(as_told);
    (!is_durable)
        .then(|| format!("{id}: the decision {} of {} that its sender was told is not the journal's", decision.sequence, told.entity))
}

impl Host {
    /// What `bytes` mean, as the door of a listening host decodes them.
    fn decode(&self, bytes: &Arc<[u8]>) -> Result<Vec<(usize, Decoded)>, ()> {
        let decoded = self.decoded(bytes).into_iter().map(|(workflow, decoded)| decoded.map(|decoded| (workflow, decoded)));
        decoded.collect::<Result<_, _>>().map_err(|_| ())
    }
}
