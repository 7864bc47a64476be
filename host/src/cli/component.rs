//! `purefold component`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::gate;
use purefold_wit::component::componentize;
use purefold_wit::{Contract, Finding};

use super::exit::Exit;
use super::report;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The core module, as `cargo build --target wasm32-unknown-unknown` leaves it
    core: PathBuf,
    /// Where to write the component
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let core = std::fs::read(&arguments.core).with_context(|| format!("cannot read {}", arguments.core.display()))?;
    let component = match componentize(&core) {
        Ok(component) => component,
        Err(error) => {
            let finding = Finding::new(
                "not-componentisable",
                "core module",
                error.to_string(),
                "build it for wasm32-unknown-unknown with wit-bindgen, so that it carries its world and imports nothing else",
            );
            report::refuse(&arguments.core.display().to_string(), &[finding])?;
            return Ok(Exit::Wrong);
        }
    };
    write(&arguments.output, &component).with_context(|| format!("cannot write {}", arguments.output.display()))?;
    // The component is there to be looked at, but nobody should find out at deployment that it is not admitted.
    let mut findings = gate::inspect(&component);
    if !gate::is_unreadable(&findings) {
        findings.extend(Contract::read(&component).err().unwrap_or_default());
    }
    if findings.is_empty() {
        return Ok(Exit::Well);
    }
    report::refuse(&arguments.output.display().to_string(), &findings)?;
    Ok(Exit::Wrong)
}

/// All of it or nothing: a build that is stopped leaves no half a component.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(bytes)).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // What could not be written is worth nothing, and the first error is the one to tell.
        let _ = std::fs::remove_file(&part);
    }
    written
}
