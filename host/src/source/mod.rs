//! Sources: where events come from. A source reads lines, or is sent requests, decodes them against every workflow's
//! inputs, and keeps no state of its own: how far it got is committed with what was decided.

mod cloudevent;
mod decode;
mod error;
mod feed;
mod follow;
mod http;
mod kafka;
mod lag;
mod lines;
mod position;
mod request;
mod started;
mod structured;

pub use cloudevent::{CloudEvent, EnvelopeError};
pub use decode::{Decoded, Decoder, Undecodable};
pub use error::SourceError;
pub use feed::{Feed, REQUESTS};
pub use http::{HttpSettings, Listener, Standing};
pub use kafka::{
    Assignment, Ends, Group, KafkaSettings, KafkaStatus, Notice, Partition, PartitionStatus, Positions, ReadFrom, Reading, position_of,
    topic_of, topics_missing,
};
pub use lag::Lag;
pub use lines::{LineSource, TakenLine};
pub use request::{Decided, DecidedEntry, Fate, Reply, Taken, TakenRequest, Ticket};
pub use started::{STARTED, Started};
