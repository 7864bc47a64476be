//! Spans of events, decisions and commits, where traces are told.
//!
//! The ids of decisions' spans are hashes of what the journal knows a decision by, so that whatever follows from a decision
//! finds its parent without anything being kept for it. Only which trace a decision belongs to, where the trace came from
//! outside, is remembered in memory; what is forgotten, or lies before the host's start, belongs to the trace of its
//! correlation id.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use purefold_effects::TraceParent;

use super::assemble::Task;
use super::fold::Folded;
use super::input::{EntityName, Follows, Ready};
use super::plan::Plan;
use crate::journal::{decision_span, trace_id};
use crate::sandbox::Cost;
use crate::trace::{ParentSpan, Span, Subject, Traces, What, span_beside, within};

/// Decisions whose trace came from outside and is remembered.
const MOST_KNOWN: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// What spans beside a decision's are for.
const ACCEPT: u64 = 1;
const COMMIT: u64 = 2;

/// What led to a decision and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The decision's entry, by its place among the new ones.
    pub entry: usize,
    /// What kind of input led to it.
    pub origin: &'static str,
    /// What it follows from.
    pub follows: Follows,
    /// The decision that asked, where one did.
    pub asked: u64,
    /// What it cost.
    pub cost: Cost,
    /// The code of the fault, where it was one.
    pub fault: Option<&'static str>,
}

impl Trail {
    pub(super) fn new(entry: usize, ready: &Ready, cost: Cost, fault: Option<&'static str>) -> Self {
        Trail { entry, origin: ready.origin.name(), follows: ready.follows.clone(), asked: ready.asked.0, cost, fault }
    }
}

/// A decision whose span is told when it is durable.
#[derive(Debug)]
pub(super) struct DecidedSpan {
    span: Span,
    /// The span of the event that led to it, but for its end.
    event: Option<Span>,
}

/// The spans of one engine.
pub(super) struct Spans {
    traces: Arc<Traces>,
    journal: (u64, u64),
    /// By the decision's span: the trace that came from outside, and whether it is recorded.
    known: LruCache<u64, (u128, bool)>,
}

impl Spans {
    /// None where no traces are told.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let traces = plan.traces.clone()?;
        Some(Spans { traces, journal: plan.journal, known: LruCache::new(MOST_KNOWN) })
    }

    /// Notes the decisions of one entity, made between `began` and `ended`.
    pub(super) fn decided(
        &mut self,
        plan: &Plan,
        name: &EntityName,
        folded: &mut Folded,
        (began, ended): (u64, u64),
        decided: &mut Vec<DecidedSpan>,
    ) {
        for trail in std::mem::take(&mut folded.trails) {
            let entry = &folded.entries[trail.entry].entry;
            let Some(verdict) = entry.verdict else { continue };
            let own = decision_span(self.journal, &plan.workflow.name, &name.key, entry.sequence);
            let (asking, incoming) = match &trail.follows {
                Follows::Asking => (Some(decision_span(self.journal, &plan.workflow.name, &name.key, trail.asked)), None),
                // Neither name has a slash before the first one: a workflow's name has none at all.
                Follows::Sender(sender) => {
                    let sender = sender.split_once('/');
                    (sender.map(|(workflow, entity)| decision_span(self.journal, workflow, entity, trail.asked)), None)
                }
                Follows::Event(incoming) => (None, incoming.as_deref().copied()),
                Follows::Unknown => (None, None),
            };
            let outside = incoming.and_then(|incoming| incoming.parent);
            let known = match (outside, asking) {
                (Some(parent), _) => Some((parent.trace, parent.sampled)),
                (None, Some(asking)) => self.known.get(&asking).copied(),
                (None, None) => None,
            };
            if let Some(known) = known {
                self.known.put(own, known);
            }
            let place = self.place(own, known, &entry.correlation_id);
            if !place.sampled {
                continue;
            }
            let subject = Subject {
                workflow: plan.workflow.name.clone(),
                entity: name.key.clone(),
                sequence: entry.sequence,
                correlation_id: entry.correlation_id.clone(),
            };
            let event = matches!(trail.follows, Follows::Event(_)).then(|| Span {
                place: within(place, span_beside(own, ACCEPT)),
                parent: outside.map(|parent| ParentSpan { id: parent.span, remote: true }),
                began: incoming.and_then(|incoming| incoming.at).unwrap_or(began),
                ended,
                subject: subject.clone(),
                what: What::Accepted { event_id: entry.event_id.clone() },
            });
            let parent = event.as_ref().map(|event| event.place.span).or(asking);
            let what = What::Decided {
                origin: trail.origin,
                event_id: entry.event_id.clone(),
                verdict,
                fault: trail.fault,
                fuel: trail.cost.fuel,
                took: trail.cost.time,
            };
            let parent = parent.map(|id| ParentSpan { id, remote: false });
            decided.push(DecidedSpan { span: Span { place, parent, began, ended, subject, what }, event });
        }
    }

    /// Tells of decisions: the commit of so many entries that holds them is durable, and took so long.
    pub(super) fn durable(&self, decided: Vec<DecidedSpan>, entries: usize, took: Duration) {
        if decided.is_empty() {
            return;
        }
        let now = self.traces.wall();
        let began = now.saturating_sub(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        for DecidedSpan { span, event } in decided {
            let commit = Span {
                place: within(span.place, span_beside(span.place.span, COMMIT)),
                parent: Some(ParentSpan { id: span.place.span, remote: false }),
                began,
                ended: now,
                subject: span.subject.clone(),
                what: What::Committed { entries },
            };
            if let Some(event) = event {
                self.traces.record(Span { ended: now, ..event });
            }
            self.traces.record(span);
            self.traces.record(commit);
        }
    }

    /// Says of each task which decision's span its attempts follow from.
    pub(super) fn mark(&mut self, plans: &[Arc<Plan>], tasks: &mut [Task]) {
        for task in tasks {
            let workflow = &plans[task.name.workflow].workflow.name;
            let asking = decision_span(self.journal, workflow, &task.name.key, task.intent.sequence);
            let known = self.known.get(&asking).copied();
            task.trace = Some(self.place(asking, known, &task.intent.correlation_id));
        }
    }

    /// The place of a span in the trace that is known to come from outside, else in that of the correlation id.
    fn place(&self, span: u64, known: Option<(u128, bool)>, correlation_id: &str) -> TraceParent {
        let (trace, sampled) = known.unwrap_or_else(|| {
            let trace = trace_id(self.journal, correlation_id);
            (trace, self.traces.samples(trace))
        });
        TraceParent { trace, span, sampled }
    }
}
