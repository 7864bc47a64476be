//! Where events come from.

use std::path::PathBuf;

use super::http::HttpSettings;
use super::kafka::KafkaSettings;
use crate::store::STREAM;

/// What the store calls the source of events that come by request.
pub const REQUESTS: &str = "http";

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A file, read to its end from where the last run got to.
    File(PathBuf),
    /// A file that grows, and whose place another one may take.
    Followed(PathBuf),
    /// Standard input, read from its beginning.
    Stdin,
    /// Requests.
    Http(HttpSettings),
    /// Partitions that a consumer group assigns.
    Kafka(Box<KafkaSettings>),
}

impl Feed {
    /// The source's name in the store.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Feed::File(path) | Feed::Followed(path) => {
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
            }
            Feed::Stdin => STREAM.into(),
            Feed::Http(_) => REQUESTS.into(),
            // Each of its partitions has a name.
            Feed::Kafka(_) => "kafka".into(),
        }
    }

    /// Whether it has no end of its own.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        matches!(self, Feed::Followed(_) | Feed::Http(_))
    }
}
