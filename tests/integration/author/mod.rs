//! The author's loop: scenarios, and the pages of the guide that show it.

pub(crate) mod examples;
mod exploring;
mod fuzzing;
mod project;
mod scenarios;
mod watching;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{purefold, target_folder};
use crate::repository::root;

/// A folder with the reference workflow's manifest and its scenarios, as an author has them.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        let desk = Desk { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        let from = root().join("reducers/registration");
        fs::copy(from.join("registration.toml"), desk.path("registration.toml")).expect("the manifest can be copied");
        copy(&from.join("scenarios"), &desk.path("scenarios"));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program in this folder, with the reducers that were built.
    pub(crate) fn purefold<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = purefold(arguments);
        command.current_dir(self.folder.path()).env("PUREFOLD_REDUCERS", target_folder().join("reducers")).env("PAYMENT_PORT", "9");
        command
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be listed") {
        let path = entry.expect("a folder can be listed").path();
        fs::copy(&path, to.join(path.file_name().expect("a file has a name"))).expect("a file can be copied");
    }
}
