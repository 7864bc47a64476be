//! Several hosts on one store: which shards each should have, and its membership, under which its engines come and go.

mod membership;
mod wanted;

pub use membership::{Change, LEASE, Membership};
pub use wanted::{Wish, must_change, wanted};
