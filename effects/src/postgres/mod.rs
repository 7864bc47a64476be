//! What backends on PostgreSQL share: how they connect, what its errors mean, and a writer that commits the calls of
//! independent lanes together, with the high-water marks that make repeats and stragglers change nothing.

mod connect;
mod failure;
mod mark;
mod pipeline;
mod tls;
mod value;
mod writer;

pub use connect::Server;
pub use failure::told;
pub(crate) use mark::{DEFINITION as MARKS_DEFINITION, PARAMETERS as MARK_PARAMETERS, TABLE as MARKS_TABLE, is_moved};
pub use pipeline::{ANSWER_GRACE, Begun, Sent, answered, begun, pipelined};
pub(crate) use value::Text;
pub(crate) use writer::{Change, Writer};
