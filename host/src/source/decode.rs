//! From an event's bytes to a typed input of a workflow.

use std::sync::Arc;

use purefold_wit::{Type, UnknownFields, Value};

use super::cloudevent::{CloudEvent, EnvelopeError};
use crate::engine::key::{MOST_KEY_BYTES, key_names, key_text};
use crate::engine::{EventInput, EventOrigin, Plan, Plans};
use crate::journal::{event_fingerprint, sha256};
use crate::trace::Incoming;
use crate::workflow::EventInput as EventTarget;

/// An event that a workflow takes: the entity's key and the input.
pub type Decoded = (Arc<str>, EventInput);

/// An event that no workflow can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The event's id, where it could be read.
    pub event_id: Option<String>,
    /// Stable code.
    pub code: &'static str,
    /// Where in the event.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

/// Decodes events against the inputs of every workflow of the host.
#[derive(Clone)]
pub struct Decoder {
    plans: Plans,
    /// Whether inputs carry the event's own time.
    event_clock: bool,
}

impl Decoder {
    /// A decoder for `plans`; on the event clock an event must carry its time.
    #[must_use]
    pub fn new(plans: impl Into<Plans>, event_clock: bool) -> Self {
        Decoder { plans: plans.into(), event_clock }
    }

    /// What `bytes` mean to each workflow that takes events of its type, by the workflow's index. What none can take is
    /// the first workflow's.
    #[must_use]
    pub fn decode(&self, bytes: &Arc<[u8]>, origin: EventOrigin, now: u64) -> Vec<(usize, Result<Decoded, Undecodable>)> {
        self.decode_from(None, bytes, origin, now)
    }

    /// As [`Decoder::decode`], where the event was read from a topic: workflows that do not name its type may name that.
    #[must_use]
    pub fn decode_from(
        &self,
        topic: Option<&str>,
        bytes: &Arc<[u8]>,
        origin: EventOrigin,
        now: u64,
    ) -> Vec<(usize, Result<Decoded, Undecodable>)> {
        let envelope = |error: EnvelopeError, id: Option<&str>| Undecodable {
            event_id: id.map(str::to_owned),
            code: error.code,
            path: error.path.to_owned(),
            reason: error.reason,
        };
        let event = match CloudEvent::read(bytes) {
            Ok(event) => event,
            Err(error) => return vec![(0, Err(envelope(error, None)))],
        };
        let time = match event.time() {
            Ok(time) => time,
            Err(error) => return vec![(0, Err(envelope(error, Some(event.id()))))],
        };
        let mut taken = Vec::with_capacity(1);
        for (index, plan) in self.plans.now().iter().enumerate() {
            let inputs = &plan.workflow.inputs;
            let by_topic = || inputs.get(topic?).map(|target| (target, topic));
            if let Some((target, topic)) = inputs.get(event.ty()).map(|target| (target, None)).or_else(by_topic) {
                let read = self.input(plan, target, &event, (bytes, origin), time, now);
                let topic = topic.map(Arc::from);
                taken.push((index, read.map(|(key, event)| (key, EventInput { topic, ..event }))));
            }
        }
        if taken.is_empty() {
            let of = topic.map_or_else(String::new, |topic| format!(" or from the topic {topic:?}"));
            let reason = format!("no workflow takes events of type {:?}{of}; add it to [inputs]", event.ty());
            taken.push((0, Err(Undecodable { event_id: Some(event.id().into()), code: "type-unroutable", path: "type".into(), reason })));
        }
        taken
    }

    fn input(
        &self,
        plan: &Plan,
        target: &EventTarget,
        event: &CloudEvent<'_>,
        (bytes, origin): (&Arc<[u8]>, EventOrigin),
        time: Option<u64>,
        now: u64,
    ) -> Result<Decoded, Undecodable> {
        let wrong = |code, path: String, reason| Undecodable { event_id: Some(event.id().into()), code, path, reason };
        let record = target
            .codec
            .decode("data", event.data().as_bytes(), UnknownFields::Ignore)
            .map_err(|error| wrong("data-undecodable", error.path, error.reason))?;
        let Value::Record(fields) = &record else { return Err(wrong("data-undecodable", "data".into(), "no record".into())) };
        let case = &plan.workflow.contract.input.cases[target.case as usize];
        let Some(Type::Record(shape)) = &case.payload else { return Err(wrong("data-undecodable", "data".into(), "no record".into())) };
        let key_field = &shape.fields[target.key_field];
        let key = key_text(&fields[target.key_field], key_names(&key_field.ty).as_deref()).ok_or_else(|| {
            let path = format!("data.{}", key_field.name.snake());
            wrong("key-invalid", path, format!("a key has 1 to {MOST_KEY_BYTES} bytes"))
        })?;
        let time = match (self.event_clock, time) {
            (false, _) => now,
            (true, Some(time)) => time,
            (true, None) => return Err(wrong("time-missing", "time".into(), "on the event clock every event must carry its time".into())),
        };
        let correlation_id = event
            .correlation_id()
            .map(str::to_owned)
            .or_else(|| target.correlation_field.and_then(|field| correlation_text(&fields[field])))
            .unwrap_or_else(|| event.id().to_owned());
        let input = EventInput {
            origin,
            id: event.id().into(),
            correlation_id: correlation_id.into(),
            time,
            fingerprint: event_fingerprint(&plan.workflow.name, event.source(), event.id()),
            input: Value::Variant(target.case, Some(Box::new(record))),
            release: plan.release,
            topic: None,
            bytes: bytes.clone(),
            hash: sha256(bytes),
            incoming: plan.traces.as_ref().map(|traces| Box::new(Incoming { at: Some(traces.wall()), parent: event.trace_parent() })),
        };
        Ok((key.into(), input))
    }
}

fn correlation_text(value: &Value) -> Option<String> {
    match value {
        Value::Option(inner) => correlation_text(inner.as_deref()?),
        Value::String(text) if text.is_empty() => None,
        value => key_text(value, None),
    }
}
