//! The workspace's own programs: the host, the demo's and the benchmarks'.

use std::path::PathBuf;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// For tests; shares its build with theirs.
    Dev,
    /// For use.
    Release,
}

impl Profile {
    /// The folder of the target folder into which programs are built.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// Builds programs of the workspace and returns the folder in which they are.
///
/// The whole workspace is selected however few programs are wanted: cargo unites the features of what is selected, and
/// with another selection it would build many of the same libraries a second time.
///
/// # Errors
/// Where the build fails; the compiler has said why.
pub(crate) fn programs(workspace: &Workspace, profile: Profile, names: &[&str]) -> Result<PathBuf> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--workspace"]);
    for name in names {
        cargo.args(["--bin", name]);
    }
    match profile {
        // With the tests come features of the libraries that only tests want: without them all of it is built twice.
        Profile::Dev => cargo.arg("--tests"),
        Profile::Release => cargo.arg("--release"),
    };
    process::run(&mut cargo)?;
    Ok(workspace.target.join(profile.folder()))
}
