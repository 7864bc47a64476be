//! Who asks, and why: journaled with what is done.

use purefold::journal::Warrant;

/// Longest name or reason, in bytes: they stand in the journal for good.
const MOST_BYTES: usize = 1000;

#[derive(clap::Args)]
pub(super) struct Signed {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", value_parser = bounded)]
    reason: Option<String>,
    #[command(flatten)]
    by: By,
}

/// For what cannot be undone: it needs a reason.
#[derive(clap::Args)]
pub(super) struct Reasoned {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", value_parser = bounded)]
    reason: String,
    #[command(flatten)]
    by: By,
}

#[derive(clap::Args)]
struct By {
    /// Who asks, for the journal; the user that the system knows, where it is left out
    #[arg(long, value_name = "NAME", value_parser = bounded)]
    by: Option<String>,
}

impl By {
    fn name(&self) -> String {
        let user = || whoami::username().unwrap_or_else(|_| "unknown".to_owned());
        self.by.clone().unwrap_or_else(user)
    }
}

/// For what a program does for whoever started it.
pub(super) fn of_user(reason: &str) -> Warrant {
    Warrant { by: By { by: None }.name(), reason: Some(reason.to_owned()) }
}

impl Signed {
    pub(super) fn warrant(&self) -> Warrant {
        Warrant { by: self.by.name(), reason: self.reason.clone() }
    }
}

impl Reasoned {
    pub(super) fn warrant(&self) -> Warrant {
        Warrant { by: self.by.name(), reason: Some(self.reason.clone()) }
    }
}

fn bounded(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it says nothing".into()),
        _ if text.len() > MOST_BYTES => Err(format!("it is longer than {MOST_BYTES} bytes")),
        text => Ok(text.to_owned()),
    }
}
