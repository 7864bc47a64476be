//! `purefold-c-bindings WIT FOLDER`: what the contract in the folder WIT gives in C, written into FOLDER. The same as
//! `wit-bindgen c WIT --out-dir FOLDER`, in the release of wit-bindgen that the reducers in Rust are built with.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<()> {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [contract, folder] = given.as_slice() else { bail!("usage: purefold-c-bindings WIT FOLDER") };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract).with_context(|| format!("cannot read the contract in {}", contract.display()))?;
    let world = resolve.select_world(&[package], None).with_context(|| format!("no single world in {}", contract.display()))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).context("cannot make bindings in C")?;
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
