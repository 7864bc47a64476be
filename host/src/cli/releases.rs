//! `purefold releases`: which there were, when and why they came into force, and where they are.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use purefold::journal::{Kind, Warrant};
use purefold::store::{Reader, Release};
use serde::{Deserialize, Serialize};

use super::exit::Exit;
use super::table::{Side, Style, Table, visible};
use super::{json, open, report};

/// Digits of a digest that are shown: enough to know it by.
const SHORT: usize = 12;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    generation: u64,
    component: &'a str,
    manifest: &'a str,
    at: Option<String>,
    by: &'a str,
    reason: Option<&'a str>,
    in_force: bool,
    hosts: &'a [String],
}

/// What a release's entry says.
#[derive(Deserialize)]
struct Released {
    generation: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let (reader, id) = (&stored.reader, stored.id);
    let (releases, came, hosts) = (reader.releases(id)?, came(reader, id)?, hosts(reader, id)?);
    let last = releases.last().map_or(0, |release| release.generation);
    let mut out = io::stdout().lock();
    let columns = [
        ("release", Side::Right),
        ("component", Side::Left),
        ("manifest", Side::Left),
        ("at", Side::Left),
        ("by", Side::Left),
        ("hosts", Side::Left),
    ];
    let nobody = (0, Warrant::default());
    let mut table = (!arguments.json).then(|| Table::new(&mut out, Style::of_stdout(), &columns));
    let mut lines = Vec::new();
    for Release { generation, component, manifest, .. } in &releases {
        let (at, warrant) = came.get(generation).unwrap_or(&nobody);
        let on = hosts.get(generation).map_or(&[][..], |hosts| hosts);
        let at = (*at > 0).then(|| json::moment(*at)).flatten();
        let in_force = *generation == last;
        if let Some(table) = &mut table {
            let short = |digest: &str| digest.get(..SHORT).unwrap_or(digest).to_owned();
            let number = if in_force { format!("{generation} in force") } else { generation.to_string() };
            // On virtual time nothing is before the first event.
            let at = at.unwrap_or_else(|| "the beginning".to_owned());
            let row = [number, short(component), short(manifest), at, visible(&warrant.told()), visible(&on.join(", "))];
            table.row(row)?;
        } else {
            let (by, reason) = (warrant.by.as_str(), warrant.reason.as_deref());
            lines.push(serde_json::to_string(&Line { generation: *generation, component, manifest, at, by, reason, in_force, hosts: on })?);
        }
    }
    match table {
        Some(table) => table.finish()?,
        None => lines.iter().try_for_each(|line| report::line(line))?,
    }
    Ok(Exit::Well)
}

/// When each release came into force, by whom and why, from the workflow's own chain.
fn came(reader: &Reader, id: i64) -> anyhow::Result<BTreeMap<u64, (u64, Warrant)>> {
    let mut came = BTreeMap::new();
    let Some(own) = reader.entity(id, "")? else { return Ok(came) };
    for link in reader.chain(own.head_row) {
        let link = link?;
        if link.kind != Kind::Released {
            continue;
        }
        let Some(stored) = reader.entry_if_there(link.row)? else { continue };
        let Ok(Released { generation }) = serde_json::from_slice(&stored.entry.input) else { continue };
        // One that a start brought into force names nobody.
        let warrant = serde_json::from_slice(&stored.entry.output).unwrap_or_default();
        came.insert(generation, (stored.entry.now, warrant));
    }
    Ok(came)
}

/// Under which release each host that shares the store goes on.
fn hosts(reader: &Reader, id: i64) -> anyhow::Result<BTreeMap<u64, Vec<String>>> {
    let (hosts, in_force) = (reader.ownership()?.hosts, reader.in_force(id)?);
    let mut on: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for host in hosts {
        let under = in_force.iter().find(|(epoch, _)| Some(*epoch) == host.epoch);
        if let Some((_, generation)) = under {
            on.entry(*generation).or_default().push(host.name);
        }
    }
    Ok(on)
}
