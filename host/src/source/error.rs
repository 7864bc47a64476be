//! What keeps a source from being read.

use std::io;
use std::net::SocketAddr;

use super::kafka::Partition;

/// What keeps a source from being read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read the events of {name}: {cause}")]
    Read {
        /// The source.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is shorter than what was already read.
    #[error(
        "{name} has {length} bytes, but {position} were read before: it was cut or replaced; name it differently to read it as a new source, or restore it"
    )]
    BeyondEnd {
        /// The source.
        name: String,
        /// The file's length.
        length: u64,
        /// The committed position.
        position: u64,
    },
    /// The file differs before the position.
    #[error(
        "{name} is not the file that was read before: the line that ends at byte {position} differs; name it differently to read it as a new source, or restore it"
    )]
    Replaced {
        /// The source.
        name: String,
        /// The committed position.
        position: u64,
    },
    /// The file was cut while it was followed.
    #[error(
        "{name} was cut to {length} bytes after {position} were read: whether all its lines were read by then cannot be told; \
         rotate it by renaming, not by copying and cutting, and name it differently to read it as a new source"
    )]
    Cut {
        /// The source.
        name: String,
        /// The file's length.
        length: u64,
        /// How far it was read.
        position: u64,
    },
    /// What took the followed file's place is no later part of the stream.
    #[error(
        "another file took the place of {name} and begins with the same line: it was written anew, not continued; \
         put the new lines into a file that holds only them, or name it differently to read it as a new source"
    )]
    Rewritten {
        /// The source.
        name: String,
    },
    /// Where the followed stream went on while nobody read it cannot be told.
    #[error(
        "{name} is not the file that was read up to byte {position} of, and which file beside it is cannot be told: {reason}; \
         restore the files, or name it differently to read it as a new source"
    )]
    Unclear {
        /// The source.
        name: String,
        /// The committed position.
        position: u64,
        /// What was found instead.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; choose another address, or end what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The source's parts change while it is read.
    #[error("this source is assigned in parts that change, and is read by one engine after the other (`Sessions`)")]
    NeedsSessions,
    /// No Kafka client can be made, or it cannot go on.
    #[error("kafka-unusable: the Kafka source cannot be used: {reason}; mend the setting of `source.kafka` that the cause names")]
    KafkaUnusable {
        /// What the client library said.
        reason: String,
    },
    /// Another member of the group has the same name.
    #[error(
        "source-fenced: another member of the group {group:?} has come with this one's name {instance:?}, and the group now knows that one; \
         give every host a `source.kafka.instance` of its own"
    )]
    KafkaFenced {
        /// The name.
        instance: String,
        /// The group.
        group: String,
    },
    /// The position lies beyond the partition's end.
    #[error(
        "source-truncated: {partition} was read up to offset {position}, and ends at {end}: the topic was made anew, or records were lost; \
         it is not read until its position is set: {}",
        way_out(partition)
    )]
    KafkaBeyondEnd {
        /// The partition.
        partition: Partition,
        /// The committed position.
        position: u64,
        /// Where it ends.
        end: u64,
    },
    /// Records that were not read are gone.
    #[error(
        "source-expired: {partition} was read up to offset {position}, and begins at {begin}: {} offsets were removed before they were \
         read; it is not read until its position is set: {}", begin - position, way_out(partition)
    )]
    KafkaExpired {
        /// The partition.
        partition: Partition,
        /// The committed position.
        position: u64,
        /// Where it begins.
        begin: u64,
    },
    /// It is another log under the same name.
    #[error(
        "source-replaced: {partition} is not what was read before: {reason}; it is not read until its position is set: {}",
        way_out(partition)
    )]
    KafkaReplaced {
        /// The partition.
        partition: Partition,
        /// By what that is known.
        reason: String,
    },
    /// A thread of the source cannot be started.
    #[error("cannot start the source: {cause}")]
    Start {
        /// What the system said.
        cause: io::Error,
    },
}

impl SourceError {
    /// The code of the page that explains it; empty where there is none.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SourceError::KafkaUnusable { .. } => "kafka-unusable",
            SourceError::KafkaFenced { .. } => "source-fenced",
            SourceError::KafkaBeyondEnd { .. } => "source-truncated",
            SourceError::KafkaExpired { .. } => "source-expired",
            SourceError::KafkaReplaced { .. } => "source-replaced",
            _ => "",
        }
    }
}

fn way_out(partition: &Partition) -> String {
    let Partition { topic, number } = partition;
    format!("`purefold source WORKFLOW reset --topic {topic} --partition {number} --to beginning|end|OFFSET --reason …`")
}
