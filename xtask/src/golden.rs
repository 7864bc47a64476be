//! Golden histories: the journals that this version writes are kept under `tests/golden`, for all later ones to verify.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Where they are kept, from the root.
const GOLDEN: &str = "tests/golden";

/// Has the tests that make the histories of this version write them down.
///
/// # Errors
/// Where they cannot be made; the tests have said why.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join(GOLDEN);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--quiet", "--workspace", "--test", "integration", "golden::the_histories"]).env("PUREFOLD_GOLDEN", &folder);
    process::run(&mut cargo).context("the histories were not made")?;
    println!("{GOLDEN}: written; look at what git says has changed");
    Ok(())
}
