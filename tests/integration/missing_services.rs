//! Services that cannot be started: the run of the tests ends, and says what to install.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Done, profile_folder};
use crate::repository::root;

/// The environment variables that name services, and what they may say.
const NAMED: [(&str, &str); 3] = [
    ("PUREFOLD_TEST_KAFKA", "127.0.0.1:9"),
    ("PUREFOLD_TEST_CONSUL", "http://127.0.0.1:9"),
    ("PUREFOLD_TEST_POSTGRES", "postgres://nobody@127.0.0.1:9/none"),
];

/// Where nothing could be started, what the environment names is what tests are told to use.
#[test]
fn services_that_the_environment_names_are_used_and_none_is_started() {
    let empty = tempfile::tempdir().unwrap();
    let mut services = xtask_services(empty.path()).envs(NAMED).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let told = BufReader::new(services.stdout.take().unwrap()).lines().take(NAMED.len());
    let told: Vec<String> = told.collect::<Result<_, _>>().unwrap();
    services.kill().unwrap();
    services.wait().unwrap();
    assert_eq!(told, NAMED.map(|(name, address)| format!("export {name}={address}")));
}

#[test]
fn a_run_without_what_its_services_need_fails_and_names_it() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = xtask_services(empty.path());
    for (variable, _) in NAMED {
        command.env_remove(variable);
    }
    let done: Done = command.output().unwrap().into();
    assert_ne!(done.code, Some(0), "{}", done.err);
    assert_eq!(done.out, "", "no address of anything");
    for told in ["services for tests cannot be had", "no `java` on the PATH", "default-jre-headless", "install Consul"] {
        assert!(done.err.to_lowercase().contains(&told.to_lowercase()), "{told:?} in:\n{}", done.err);
    }
}

/// `cargo xtask services` with nothing on the PATH and nothing downloaded before.
fn xtask_services(empty: &Path) -> Command {
    let xtask = profile_folder().join("xtask");
    assert!(xtask.exists(), "`cargo build --workspace` makes {}", xtask.display());
    let mut command = Command::new(xtask);
    command.current_dir(root()).arg("services").env("PATH", empty).env("CARGO", env!("CARGO")).env("CARGO_TARGET_DIR", empty);
    command
}
