//! What every act of an operator is journaled with.

use serde::{Deserialize, Serialize};

/// Who had something done, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warrant {
    /// The operator's name; [`Warrant::HOST`] where the host acted by a rule of the manifest.
    pub by: String,
    /// Why, where that was said.
    pub reason: Option<String>,
}

impl Warrant {
    /// Who acts where no operator does.
    pub const HOST: &str = "purefold";

    /// As an entry's output.
    #[must_use]
    pub fn json(&self) -> Box<[u8]> {
        serde_json::json!({ "by": self.by, "reason": self.reason }).to_string().into_bytes().into()
    }

    /// For a sentence: `ann: the target is gone for good`.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.by),
            None => self.by.clone(),
        }
    }
}
