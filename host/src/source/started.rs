//! The event by which a host tells a workflow that it was started.

use std::sync::Arc;

use purefold_wit::{instant, uuid};
use serde::Serialize;

/// The type of the event.
pub const STARTED: &str = "purefold.workflow.started";

/// The event's source. With the id of the start it tells two starts apart.
const SOURCE: &str = "purefold";

/// One start of a host's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// High and low half of the start's id. However often an engine is told of the same start, it takes it once.
    pub id: (u64, u64),
    /// The host's name.
    pub host: Arc<str>,
    /// When it started, in microseconds since the Unix epoch.
    pub at: u64,
    /// Where the host tells of itself, as `http://host:9100`.
    pub admin: Option<Arc<str>>,
}

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    ty: &'static str,
    time: &'a str,
    data: Data<'a>,
}

/// The fields that [`crate::workflow`] lets the input's record have.
#[derive(Serialize)]
struct Data<'a> {
    workflow: &'a str,
    host: &'a str,
    started_at: &'a str,
    start_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<&'a str>,
}

impl Started {
    /// The event for the workflow of that name, as a CloudEvent.
    #[must_use]
    pub fn event(&self, workflow: &str) -> Arc<[u8]> {
        let (id, at) = (uuid::format(self.id.0, self.id.1), instant::format(self.at.min(instant::LAST)).unwrap_or_default());
        let data = Data { workflow, host: &self.host, started_at: &at, start_id: &id, admin: self.admin.as_deref() };
        let event = Event { specversion: "1.0", id: &id, source: SOURCE, ty: STARTED, time: &at, data };
        // Texts have a JSON form: there is nothing that could fail.
        serde_json::to_vec(&event).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_a_cloudevent_with_the_starts_id() {
        let started = Started { id: (1, 2), host: "one".into(), at: 1_770_984_000_000_000, admin: None };
        let text = String::from_utf8(started.event("registry").to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{"specversion":"1.0","id":"00000000-0000-0001-0000-000000000002","source":"purefold","type":"purefold.workflow.started","time":"2026-02-13T12:00:00.000000Z","data":{"workflow":"registry","host":"one","started_at":"2026-02-13T12:00:00.000000Z","start_id":"00000000-0000-0001-0000-000000000002"}}"#
        );
        let reached = Started { admin: Some("http://one:9100".into()), ..started };
        assert!(String::from_utf8_lossy(&reached.event("registry")).contains(r#""admin":"http://one:9100""#));
    }
}
