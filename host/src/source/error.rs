//! What keeps a source from being read.

use std::io;
use std::net::SocketAddr;

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
    /// The listener cannot be started.
    #[error("cannot start the HTTP source: {cause}")]
    Start {
        /// What the system said.
        cause: io::Error,
    },
}
