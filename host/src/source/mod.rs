//! Sources: where events come from. A source reads lines, decodes them against every workflow's inputs, and keeps no
//! state of its own: how far it got is committed with what was decided.

mod cloudevent;
mod decode;
mod lines;

pub use cloudevent::{CloudEvent, EnvelopeError};
pub use decode::{Decoded, Decoder, Undecodable};
pub use lines::{Feed, LineSource, SourceError, TakenLine};
