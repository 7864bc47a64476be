//! `purefold import`: a fresh store of what an audit bundle holds.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::bundle::{self, Bounds, BundleError, Head};
use purefold::sandbox::Limits;
use purefold::signing::Signed;
use purefold::store::{Location, Reader};
use serde_json::json;

use super::exit::Exit;
use super::table::visible;
use super::trusted::TrustedKeys;
use super::{deploy, report};

/// The store's file in the folder.
pub(super) const STORE: &str = "store.db";

/// The manifest in force.
const MANIFEST: &str = "workflow.toml";

/// The component in force.
const COMPONENT: &str = "reducer.wasm";

/// Bytes of a GiB.
const GIB: u64 = 1 << 30;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    /// The folder to make: it gets a store, the manifest and the component in force
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Whom a bundle is believed, and how much of it.
#[derive(clap::Args)]
pub(super) struct Trust {
    #[command(flatten)]
    keys: TrustedKeys,
    /// What the bundle may unpack to
    #[arg(long, value_name = "GIB", default_value_t = Bounds::default().bytes / GIB, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    most_gib: u64,
    /// Fuel that the bundle's manifests may have granted a decision
    #[arg(long, value_name = "UNITS", default_value_t = Bounds::default().fuel, value_parser = clap::value_parser!(u64).range(1..=Limits::MOST.fuel))]
    most_fuel: u64,
}

/// What became of a bundle.
pub(super) struct Unpacked {
    pub(super) head: Head,
    pub(super) signed: Option<Signed>,
}

/// Unpacks a bundle into the file `store`; where that cannot be done, it was told, and how to exit.
pub(super) fn unpack(file: &Path, trust: &Trust, store: &Path) -> anyhow::Result<Result<Unpacked, Exit>> {
    let Some(keys) = trust.keys.read()? else { return Ok(Err(Exit::Wrong)) };
    let bounds = Bounds { bytes: trust.most_gib * GIB, fuel: trust.most_fuel };
    match bundle::unpack(file, &keys, bounds, store, &deploy::compiler()?) {
        Ok((head, signed)) => Ok(Ok(Unpacked { head, signed })),
        Err(error) => refused(error).map(Err),
    }
}

/// Tells why a bundle is refused, and how to exit.
pub(super) fn refused(error: BundleError) -> anyhow::Result<Exit> {
    let exit = match &error {
        error if error.is_negative() => Exit::Negative,
        error if error.is_wrong_input() => Exit::Wrong,
        _ => return Err(error.into()),
    };
    eprintln!("error: {}", visible(&error.to_string()));
    Ok(exit)
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let folder = &arguments.to;
    std::fs::create_dir(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let store = folder.join(STORE);
    let filled = unpack(&arguments.bundle, &arguments.trust, &store).and_then(|unpacked| match unpacked {
        Ok(unpacked) => beside(folder, &store, &unpacked.head.workflow).map(|()| Ok(unpacked)),
        Err(exit) => Ok(Err(exit)),
    });
    let Ok(Ok(Unpacked { head, signed })) = filled else {
        // The folder is this command's own, and what is half in it is of no use.
        let _ = std::fs::remove_dir_all(folder);
        return filled.map(|exit| exit.err().unwrap_or(Exit::Wrong));
    };
    let manifest = folder.join(MANIFEST);
    if arguments.json {
        let line = json!({
            "workflow": head.workflow, "journal": head.journal, "partial": head.partial, "manifest": manifest.display().to_string(),
            "signed_by": signed.map(|signed| signed.key),
        });
        report::line(&line.to_string())?;
    } else {
        report::line(&format!("{} of journal {}: {}", visible(&head.workflow), head.journal, manifest.display()))?;
        if let Some(Signed { key, comment }) = signed {
            report::line(&format!("signed by key {key}: {}", visible(&comment)))?;
        }
    }
    Ok(Exit::Well)
}

/// Puts the manifest and the component in force beside the store, so that commands that take a manifest find both.
fn beside(folder: &Path, store: &Path, workflow: &str) -> anyhow::Result<()> {
    let reader = Reader::open(&Location::Sqlite(store.into()))?;
    let (id, _) = reader.workflow(workflow)?.context("the bundle's rows are of another workflow than it says")?;
    let releases = reader.releases(id)?;
    let release = releases.last().context("the bundle holds no release")?;
    let mut table: toml::Table = reader.manifest(&release.manifest)?.parse().context("the manifest in the bundle cannot be read")?;
    table.insert("store".into(), toml::Table::from_iter([("sqlite".to_owned(), STORE.into())]).into());
    if let Some(reducer) = table.get_mut("reducer").and_then(toml::Value::as_table_mut) {
        reducer.insert("component".into(), COMPONENT.into());
        // A component was asked for its signature and its certificate when it came into the store that this is a copy of.
        reducer.remove("trusted-keys");
        reducer.remove("require-certificate");
    }
    std::fs::write(folder.join(COMPONENT), reader.component(&release.component)?)?;
    std::fs::write(folder.join(MANIFEST), toml::to_string(&table)?)?;
    Ok(())
}
