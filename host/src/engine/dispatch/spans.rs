//! The span of an attempt, where traces are told.

use std::sync::Arc;

use purefold_effects::{Call, EffectError, Reply, TraceParent};

use super::retry::shortened;
use crate::engine::plan::Plan;
use crate::trace::{Answered, ParentSpan, Span, Subject, What, within};

/// Gives the call that begins now its place in the trace of the decision that asked for it, and the span that is told at its
/// end. None where nobody is told; the place is handed on even then.
pub(super) fn begin(plan: &Plan, asked: Option<TraceParent>, effect: &Arc<str>, attempt: u32, call: &mut Call) -> Option<Box<Span>> {
    let (traces, asked) = plan.traces.as_ref().zip(asked)?;
    let place = within(asked, traces.attempt_span());
    call.trace = Some(place);
    let now = place.sampled.then(|| traces.wall())?;
    Some(Box::new(Span {
        place,
        parent: Some(ParentSpan { id: asked.span, remote: false }),
        began: now,
        ended: now,
        subject: Subject {
            workflow: call.workflow.clone(),
            entity: call.entity.clone(),
            sequence: call.sequence,
            correlation_id: call.correlation_id.clone(),
        },
        what: What::Attempted { intent: call.id, index: call.index, effect: effect.clone(), attempt, answer: Answered::Done },
    }))
}

/// Tells of an attempt that has ended.
pub(super) fn end(plan: &Plan, mut span: Box<Span>, result: &Result<Reply, EffectError>) {
    let Some(traces) = &plan.traces else { return };
    span.ended = traces.wall();
    if let (What::Attempted { answer, .. }, Err(error)) = (&mut span.what, result) {
        *answer = Answered::Failed(shortened(&error.to_string()));
    }
    traces.record(*span);
}
