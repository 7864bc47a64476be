//! Inputs of history as another release takes them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use purefold_wit::{Codec, Type, UnknownFields, Value};
use serde_json::value::RawValue;

use super::course::Unfed;
use crate::engine::{Conclusion, EventInput, EventOrigin, FailureKind, Pending, Plan, Terms};
use crate::journal::{Entry, sha256};
use crate::source::Decoder;
use crate::store::DeliveryRow;
use crate::workflow::OutcomeField;

/// What a release makes of inputs that were decided on before.
pub(super) struct Inputs {
    pub(super) plan: Arc<Plan>,
    decoder: Decoder,
}

impl Inputs {
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        Inputs { plan: plan.clone(), decoder: Decoder::new(vec![plan.clone()], false) }
    }

    /// An event, or what another entity delivered.
    pub(super) fn outside(&self, key: &Arc<str>, entry: &Entry, bytes: Option<&[u8]>) -> Result<Pending, Unfed> {
        if bytes.is_some() || entry.event_hash.is_some() || entry.event_id.is_empty() {
            return Ok(Pending { events: VecDeque::from([self.event(entry, bytes)?]), ..Pending::default() });
        }
        let (case, payload) = case_of(&entry.input).ok_or_else(|| Unfed::Unfit("the input is no case with a record".into()))?;
        // The fold takes a delivery for readable: it was checked when it was asked for.
        self.input(entry)?;
        let delivery = DeliveryRow {
            id: 0,
            workflow: self.plan.workflow.name.clone(),
            key: key.clone(),
            input: case.replace('_', "-"),
            payload: payload.get().as_bytes().into(),
            now: entry.now,
            sender: String::new(),
            sequence: 0,
            index: 0,
            event_id: entry.event_id.clone(),
            correlation_id: entry.correlation_id.clone(),
        };
        Ok(Pending { deliveries: vec![delivery], ..Pending::default() })
    }

    /// The JSON form of a result as the outcome route of the intent case takes it.
    pub(super) fn conclusion(&self, case: u32, result: &str) -> Result<Conclusion, Unfed> {
        conclusion(&self.plan.terms, case, result)
    }

    pub(super) fn event(&self, entry: &Entry, bytes: Option<&[u8]>) -> Result<EventInput, Unfed> {
        if let Some(bytes) = bytes {
            let bytes: Arc<[u8]> = bytes.into();
            match self.decoder.decode(&bytes, EventOrigin::Host, entry.now).into_iter().next() {
                Some((_, Ok((_, event)))) => return Ok(event),
                // It was read from a topic that the workflow names: its bytes do not say which.
                Some((_, Err(wrong))) if wrong.code == "type-unroutable" => {}
                Some((_, Err(wrong))) => return Err(Unfed::Unfit(format!("{}: {}: {}", wrong.code, wrong.path, wrong.reason))),
                None => {}
            }
        }
        let input = self.input(entry)?;
        let bytes: Arc<[u8]> = bytes.unwrap_or_default().into();
        Ok(EventInput {
            release: self.plan.release,
            topic: None,
            origin: EventOrigin::Host,
            id: entry.event_id.clone(),
            correlation_id: entry.correlation_id.clone(),
            time: entry.now,
            fingerprint: 0,
            input,
            hash: entry.event_hash.unwrap_or_else(|| sha256(&bytes)),
            bytes,
            incoming: None,
        })
    }

    /// The journaled input, read as an event is: fields that the reducer does not know are ignored.
    pub(super) fn input(&self, entry: &Entry) -> Result<Value, Unfed> {
        let decoded = self.plan.codec.input().decode("input", &entry.input, UnknownFields::Ignore);
        decoded.map_err(|error| Unfed::Unfit(error.to_string()))
    }

    pub(super) fn timer_case(&self) -> Option<&str> {
        self.plan.timers_as.as_deref()
    }
}

/// The case and the record of an input as it is journaled.
pub(super) fn case_of(input: &[u8]) -> Option<(String, &RawValue)> {
    let parsed: HashMap<String, &RawValue> = serde_json::from_slice(input).ok()?;
    parsed.into_iter().next()
}

/// The JSON form of a result as the outcome route of the intent case takes it, under the terms that asked for it.
pub(super) fn conclusion(terms: &Terms, case: u32, result: &str) -> Result<Conclusion, Unfed> {
    let unfit = |reason: &str| Unfed::Unfit(reason.to_owned());
    let Some(outcome) = terms.route(case).ok_or(Unfed::NotAsked)?.outcome.as_ref() else { return Err(Unfed::NotAsked) };
    let parts: HashMap<String, Option<&RawValue>> = serde_json::from_str(result).map_err(|error| Unfed::Unfit(error.to_string()))?;
    if let Some(failure) = parts.get("err") {
        let failure = failure.map_or("", RawValue::get);
        let parsed: HashMap<String, String> = serde_json::from_str(failure).map_err(|error| Unfed::Unfit(error.to_string()))?;
        let (kind, text) = parsed.into_iter().next().ok_or_else(|| unfit("a failure without a kind"))?;
        let kind = FailureKind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(|| unfit("an unknown kind of failure"))?;
        return Ok(Err((kind, text)));
    }
    let input = &terms.contract.input.cases[outcome.input_case as usize];
    let Some(Type::Record(record)) = &input.payload else { return Err(unfit("the outcome's case carries no record")) };
    let place = outcome.fields.iter().position(|field| *field == OutcomeField::Result);
    let ok = place.and_then(|place| match &record.fields[place].ty {
        Type::Result(result) => result.ok.as_ref(),
        _ => None,
    });
    match (ok, parts.get("ok").copied().flatten()) {
        (None, _) => Ok(Ok(None)),
        (Some(_), None) => Err(unfit("history kept no reply of this intent")),
        (Some(ty), Some(json)) => {
            let value = Codec::new(ty).decode("result.ok", json.get().as_bytes(), UnknownFields::Ignore);
            value.map(|value| Ok(Some(value))).map_err(|error| Unfed::Unfit(error.to_string()))
        }
    }
}
