//! Requests: events whose senders wait for an answer, which goes out when the commit that decides them is durable.

use hashbrown::HashMap;

use super::input::EntityName;
use super::plan::Plan;
use crate::journal::EntryHash;
use crate::source::{Decided, DecidedEntry, Fate, Reply, Ticket, Undecodable};
use crate::store::EntryRow;

/// An event of a request that a fold is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The request.
    pub request: u64,
    /// The event's fingerprint.
    pub fingerprint: u128,
    /// Which of the fold's entries is the decision; none where the event waits in the inbox.
    pub entry: Option<usize>,
}

/// What a request is told once the commit is durable.
#[derive(Debug)]
pub(super) struct Answer {
    request: u64,
    fingerprint: u128,
    decided: Option<Decided>,
}

/// An event of a request that another host is to decide.
#[derive(Debug)]
pub(super) struct SentOn {
    pub(super) request: u64,
    pub(super) fingerprint: u128,
    /// The entity.
    pub(super) name: EntityName,
    /// SHA-256 of the event's bytes.
    pub(super) hash: EntryHash,
}

/// The requests that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    waiting: HashMap<u64, Waiting>,
    /// Events that were taken and are not durable yet, with the requests that sent them again meanwhile: nobody is told
    /// that the host has an event before it has.
    under_way: HashMap<u128, Vec<u64>>,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    /// Workflows whose part is open.
    open: usize,
    fresh: bool,
    refused: Option<Undecodable>,
    decisions: Vec<Decided>,
}

impl Requests {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number of a new request.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Notes that `request` waits for `open` workflows, `fresh` where one of them takes the event for the first time. With
    /// none open it is answered at once.
    pub(super) fn wait(&mut self, request: u64, ticket: Ticket, open: usize, fresh: bool) {
        let waiting = Waiting { ticket, open, fresh, refused: None, decisions: Vec::new() };
        if open == 0 {
            waiting.answer();
        } else {
            self.waiting.insert(request, waiting);
        }
    }

    /// Notes that an event is under way.
    pub(super) fn begin(&mut self, fingerprint: u128) {
        self.under_way.entry(fingerprint).or_default();
    }

    /// Whether an event is under way for another request; `request` then learns of it when it is durable.
    pub(super) fn joins(&mut self, request: u64, fingerprint: u128) -> bool {
        let Some(others) = self.under_way.get_mut(&fingerprint) else { return false };
        others.push(request);
        true
    }

    /// What `answered` will be told. `entries` are those of its fold.
    pub(super) fn answer(&self, plan: &Plan, name: &EntityName, answered: Answered, entries: &[EntryRow]) -> Answer {
        let Answered { request, fingerprint, entry } = answered;
        let wanted = self.waiting.get(&request).is_some_and(|waiting| waiting.ticket.wants_decisions());
        let decision = || {
            let entry = &entries.get(entry?)?.entry;
            Some(DecidedEntry {
                sequence: entry.sequence,
                verdict: entry.verdict?,
                state: entry.state.clone(),
                output: entry.output.clone(),
            })
        };
        let decided = wanted.then(|| Decided { workflow: plan.workflow.name.clone(), entity: name.key.clone(), decision: decision() });
        Answer { request, fingerprint, decided }
    }

    /// Whether whoever sent the event waits for the decision.
    pub(super) fn wants_decision(&self, sent: &SentOn) -> bool {
        self.waiting.get(&sent.request).is_some_and(|waiting| waiting.ticket.wants_decisions())
    }

    /// An event is another host's, durably; with the decision where that is known.
    pub(super) fn tell_sent_on(&mut self, plan: &Plan, sent: &SentOn, decision: Option<DecidedEntry>) {
        let wanted = self.wants_decision(sent);
        let decided = wanted.then(|| Decided { workflow: plan.workflow.name.clone(), entity: sent.name.key.clone(), decision });
        self.tell(Answer { request: sent.request, fingerprint: sent.fingerprint, decided });
    }

    /// The commit is durable.
    pub(super) fn tell(&mut self, answer: Answer) {
        let Answer { request, fingerprint, decided } = answer;
        for other in self.under_way.remove(&fingerprint).unwrap_or_default() {
            self.settle(other, |_| {});
        }
        self.settle(request, |waiting| waiting.decisions.extend(decided));
    }

    /// The event could not be taken after all.
    pub(super) fn refuse(&mut self, request: u64, fingerprint: u128, reason: &Undecodable) {
        let others = self.under_way.remove(&fingerprint).unwrap_or_default();
        for request in others.into_iter().chain([request]) {
            self.settle(request, |waiting| waiting.refused = Some(reason.clone()));
        }
    }

    /// Lets everybody go who still waits: the host ends, and what is not durable is sent again.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
        self.under_way.clear();
    }

    fn settle(&mut self, request: u64, note: impl FnOnce(&mut Waiting)) {
        let Some(waiting) = self.waiting.get_mut(&request) else { return };
        note(waiting);
        waiting.open -= 1;
        if waiting.open == 0
            && let Some(waiting) = self.waiting.remove(&request)
        {
            waiting.answer();
        }
    }
}

impl Waiting {
    fn answer(self) {
        let fate = match self.refused {
            Some(undecodable) => Fate::Refused(undecodable),
            None if self.fresh => Fate::Accepted,
            None => Fate::Duplicate,
        };
        self.ticket.answer(Reply { fate, decisions: self.decisions });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::oneshot::Receiver;

    use super::*;

    const EVENT: u128 = 7;

    /// A request for an event that is fresh, or under way for another.
    fn sent(requests: &mut Requests) -> (u64, Receiver<Reply>) {
        let (ticket, reply) = Ticket::new(true);
        let number = requests.next();
        let joins = requests.joins(number, EVENT);
        if !joins {
            requests.begin(EVENT);
        }
        requests.wait(number, ticket, 1, !joins);
        (number, reply)
    }

    fn fate(reply: &mut Receiver<Reply>) -> Fate {
        reply.try_recv().unwrap().fate
    }

    #[test]
    fn a_duplicate_of_an_event_under_way_is_answered_with_it_and_not_before() {
        let mut requests = Requests::default();
        let (first, mut reply) = sent(&mut requests);
        let (_, mut again) = sent(&mut requests);
        assert!(reply.try_recv().is_err() && again.try_recv().is_err());
        let decided = Decided { workflow: "w".into(), entity: "e".into(), decision: None };
        requests.tell(Answer { request: first, fingerprint: EVENT, decided: Some(decided.clone()) });
        let told = reply.try_recv().unwrap();
        assert_eq!((told.fate, told.decisions), (Fate::Accepted, vec![decided]));
        assert_eq!(fate(&mut again), Fate::Duplicate);
        assert_eq!(requests.len(), 0);
    }

    #[test]
    fn what_cannot_be_taken_is_refused_to_all_who_sent_it_and_may_be_sent_anew() {
        let mut requests = Requests::default();
        let (first, mut reply) = sent(&mut requests);
        let (_, mut again) = sent(&mut requests);
        let full = Undecodable { event_id: None, code: "inbox-full", path: String::new(), reason: "full".into() };
        requests.refuse(first, EVENT, &full);
        assert_eq!((fate(&mut reply), fate(&mut again)), (Fate::Refused(full.clone()), Fate::Refused(full)));
        assert_eq!(requests.len(), 0);
        let (third, mut reply) = sent(&mut requests);
        requests.tell(Answer { request: third, fingerprint: EVENT, decided: None });
        assert_eq!(fate(&mut reply), Fate::Accepted);
    }

    #[test]
    fn a_request_waits_for_every_workflow_and_is_let_go_at_the_end() {
        let mut requests = Requests::default();
        let (ticket, mut reply) = Ticket::new(false);
        let number = requests.next();
        requests.begin(EVENT);
        requests.begin(EVENT + 1);
        requests.wait(number, ticket, 2, true);
        requests.tell(Answer { request: number, fingerprint: EVENT, decided: None });
        assert!(reply.try_recv().is_err());
        requests.give_up();
        assert!(reply.blocking_recv().is_err(), "nobody will answer");
        assert_eq!(requests.len(), 0);
    }
}
