//! `purefold intents`: what was asked of the effects, how it stands, and what to do about what is stuck.

mod act;
mod list;

use std::path::PathBuf;

use super::exit::Exit;
use super::open;
use super::warrant::{Reasoned, Signed};
use list::Filter;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Concluded intents too, as the journal tells them
    #[arg(long)]
    all: bool,
    /// What to do; without it, the intents are listed
    #[command(subcommand)]
    action: Option<Action>,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Those that are not concluded, or all
    List {
        /// Concluded intents too, as the journal tells them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// Some of them in full
    Show {
        /// Ids, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Try held intents again, with all their attempts
    Redrive {
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        signed: Signed,
    },
    /// Conclude intents as failed: the reducer is told where the route says so, else the journal
    GiveUp {
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

#[derive(clap::Args)]
pub(super) struct Meant {
    /// Ids, as `list` shows them
    #[arg(required_unless_present_any = ["every", "effect", "entity"], conflicts_with_all = ["every", "effect", "entity"], value_name = "ID")]
    ids: Vec<String>,
    /// All of them, in order
    #[arg(id = "every", long = "all")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    match &arguments.action {
        None => list::list(&stored, arguments.all, &Filter::default(), arguments.json)?,
        Some(Action::List { all, filter }) => list::list(&stored, *all || arguments.all, filter, arguments.json)?,
        Some(Action::Show { ids }) => return act::show(&stored, ids, arguments.json),
        Some(Action::Redrive { meant, signed }) => {
            return act::change(arguments, stored, act::REDRIVE, meant, &signed.warrant());
        }
        Some(Action::GiveUp { meant, reasoned }) => {
            return act::change(arguments, stored, act::GIVE_UP, meant, &reasoned.warrant());
        }
    }
    Ok(Exit::Well)
}
