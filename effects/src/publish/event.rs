//! The event itself: its attributes, and the structured JSON form of CloudEvents 1.0.

use purefold_wit::instant;

use super::Plan;
use crate::Call;

/// How every line begins.
pub(super) const BEGIN: &[u8] = b"{\"specversion\":\"1.0\"";

impl Plan {
    /// The event of one intent, as one line of JSON without its end.
    ///
    /// # Errors
    /// A record without a JSON form.
    pub(super) fn event(&self, call: &Call) -> Result<Vec<u8>, String> {
        let mut line = Vec::with_capacity(512);
        line.push(b'{');
        let mut first = true;
        self.attributes(call, |name, value| {
            if !std::mem::take(&mut first) {
                line.push(b',');
            }
            attribute(&mut line, name, value)
        })?;
        line.extend_from_slice(b",\"datacontenttype\":\"application/json\",\"data\":");
        line.extend_from_slice(&self.data.encode(&call.payload)?);
        line.push(b'}');
        Ok(line)
    }

    /// The event's attributes but that of its data, in their order.
    ///
    /// Its id is the intent's, so whoever reads it twice can tell.
    ///
    /// # Errors
    /// An attribute without a form, or what `write` says.
    pub(super) fn attributes(&self, call: &Call, mut write: impl FnMut(&str, &str) -> Result<(), String>) -> Result<(), String> {
        let time = instant::format(call.now).ok_or("the decision's time is past the year 9999")?;
        write("specversion", "1.0")?;
        write("id", &call.id.to_string())?;
        write("source", &call.workflow)?;
        write("type", &self.topic)?;
        write("subject", &call.entity)?;
        write("time", &time)?;
        // CloudEvents have no empty attributes.
        if !call.correlation_id.is_empty() {
            write("correlationid", &call.correlation_id)?;
        }
        if let Some(trace) = call.trace {
            write("traceparent", &trace.to_string())?;
        }
        Ok(())
    }
}

fn attribute(line: &mut Vec<u8>, name: &str, value: &str) -> Result<(), String> {
    line.push(b'"');
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    serde_json::to_writer(line, value).map_err(|error| error.to_string())
}
