//! The HTTP source: CloudEvents that are sent, answered when what was decided on them is durable.
//!
//! HTTP/1.1 only, without TLS: where others than this machine send events, a proxy in front speaks what they speak.

mod answer;
mod door;
mod listener;
mod media;
mod refusal;
mod settings;
mod token;

pub use listener::{Listener, Standing};
pub use settings::HttpSettings;
