//! What a sender is told of events that were taken.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::journal::Verdict;
use crate::source::{Decided, Fate, Reply};

/// What became of one event of a request.
pub(super) enum Told {
    /// The host has it: its id, and the answer.
    Reply(String, Reply),
    /// It is refused; the id, where it could be read.
    Refused(Option<String>, Refusal),
}

#[derive(Default, Serialize)]
struct Answer<'a> {
    accepted: Vec<&'a str>,
    duplicates: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedEvent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<Vec<DecisionLine<'a>>>,
}

#[derive(Serialize)]
struct RefusedEvent<'a> {
    /// Its place in the batch, from 0.
    index: usize,
    id: Option<&'a str>,
    #[serde(flatten)]
    refusal: &'a Refusal,
    /// Whether sending it again may help.
    passing: bool,
}

/// A decision, with the fields that `purefold reduce` prints.
#[derive(Serialize)]
struct DecisionLine<'a> {
    event_id: &'a str,
    workflow: &'a str,
    entity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<AcceptedDecision<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faulted: Option<&'a RawValue>,
    /// The entity is parked, and the event waits in its inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<bool>,
}

#[derive(Serialize)]
struct AcceptedDecision<'a> {
    state: Option<&'a RawValue>,
    intents: Option<&'a RawValue>,
}

/// The answer to a request whose events came to this. A refusal of the only event of a request is the answer itself.
pub(super) fn answer(told: Vec<Told>, is_batch: bool, decisions: bool) -> Response {
    let told = match <[Told; 1]>::try_from(told) {
        Ok([Told::Refused(_, refusal)]) if !is_batch => return refusal.into_response(),
        Ok([one]) => vec![one],
        Err(several) => several,
    };
    let mut answer = Answer { decisions: decisions.then(Vec::new), ..Answer::default() };
    for (index, told) in told.iter().enumerate() {
        match told {
            Told::Reply(id, reply) => {
                match reply.fate {
                    Fate::Accepted => answer.accepted.push(id),
                    // Refusals have been made of the others.
                    Fate::Duplicate | Fate::Refused(_) => answer.duplicates.push(id),
                }
                if let Some(lines) = &mut answer.decisions {
                    lines.extend(reply.decisions.iter().map(|decided| line(id, decided)));
                }
            }
            Told::Refused(id, refusal) => {
                let passing = refusal.is_passing();
                answer.refused.push(RefusedEvent { index, id: id.as_deref(), refusal, passing });
            }
        }
    }
    let status = match (answer.refused.as_slice(), told.len()) {
        ([], _) => StatusCode::OK,
        (refused, all) if refused.len() == all && refused.iter().all(|event| event.refusal.status == refused[0].refusal.status) => {
            refused[0].refusal.status
        }
        _ => StatusCode::MULTI_STATUS,
    };
    // Texts and JSON that was checked: there is no way for it to fail.
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn line<'a>(event_id: &'a str, decided: &'a Decided) -> DecisionLine<'a> {
    let Decided { workflow, entity, decision } = decided;
    let mut line = DecisionLine {
        event_id,
        workflow,
        entity,
        sequence: decision.as_ref().map(|decision| decision.sequence),
        accepted: None,
        rejected: None,
        faulted: None,
        waiting: decision.is_none().then_some(true),
    };
    if let Some(decision) = decision {
        let output = json(&decision.output);
        match decision.verdict {
            Verdict::Accepted => {
                line.accepted = Some(AcceptedDecision { state: decision.state.as_deref().and_then(json), intents: output });
            }
            Verdict::Rejected => line.rejected = output,
            Verdict::Faulted => line.faulted = output,
        }
    }
    line
}

/// Journaled JSON, as it stands.
fn json(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}
