//! The event itself, in the structured JSON form of CloudEvents 1.0.

use purefold_wit::instant;

use super::Plan;
use crate::Call;

/// How every line begins.
pub(super) const BEGIN: &[u8] = b"{\"specversion\":\"1.0\"";

impl Plan {
    /// The event of one intent, as one line of JSON without its end.
    ///
    /// Its id is the intent's, so whoever reads it twice can tell.
    ///
    /// # Errors
    /// A record without a JSON form.
    pub(super) fn event(&self, call: &Call) -> Result<Vec<u8>, String> {
        let time = instant::format(call.now).ok_or("the decision's time is past the year 9999")?;
        let mut line = Vec::with_capacity(512);
        line.extend_from_slice(BEGIN);
        attribute(&mut line, "id", &call.id.to_string())?;
        attribute(&mut line, "source", &call.workflow)?;
        attribute(&mut line, "type", &self.topic)?;
        attribute(&mut line, "subject", &call.entity)?;
        attribute(&mut line, "time", &time)?;
        // CloudEvents have no empty attributes.
        if !call.correlation_id.is_empty() {
            attribute(&mut line, "correlationid", &call.correlation_id)?;
        }
        if let Some(trace) = call.trace {
            attribute(&mut line, "traceparent", &trace.to_string())?;
        }
        attribute(&mut line, "datacontenttype", "application/json")?;
        line.extend_from_slice(b",\"data\":");
        line.extend_from_slice(&self.data.encode(&call.payload)?);
        line.push(b'}');
        Ok(line)
    }
}

fn attribute(line: &mut Vec<u8>, name: &str, value: &str) -> Result<(), String> {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    serde_json::to_writer(line, value).map_err(|error| error.to_string())
}
