//! Services that cannot be started: the run of the tests ends, and says what to install.

use std::process::Command;

use crate::program::{Done, profile_folder};
use crate::repository::root;

#[test]
fn a_run_without_what_its_services_need_fails_and_names_it() {
    let empty = tempfile::tempdir().unwrap();
    let xtask = profile_folder().join("xtask");
    assert!(xtask.exists(), "`cargo build --workspace` makes {}", xtask.display());
    let mut command = Command::new(xtask);
    // Nothing on the PATH, nothing downloaded before, and no service that runs already.
    command.current_dir(root()).arg("services").env("PATH", empty.path()).env("CARGO", env!("CARGO")).env("CARGO_TARGET_DIR", empty.path());
    for variable in ["PUREFOLD_TEST_KAFKA", "PUREFOLD_TEST_CONSUL", "PUREFOLD_TEST_POSTGRES"] {
        command.env_remove(variable);
    }
    let done: Done = command.output().unwrap().into();
    assert_ne!(done.code, Some(0), "{}", done.err);
    assert_eq!(done.out, "", "no address of anything");
    for told in ["services for tests cannot be had", "no `java` on the PATH", "default-jre-headless", "install Consul"] {
        assert!(done.err.to_lowercase().contains(&told.to_lowercase()), "{told:?} in:\n{}", done.err);
    }
}
