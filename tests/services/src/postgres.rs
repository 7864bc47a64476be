//! PostgreSQL: from the PATH, else where Debian's package has it.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::instance::Plan;
use crate::{Certificates, Kind, Make, debian, ports, program};

/// Where Debian's packages keep programs that belong to one version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The superuser's password. It guards a port of the loopback for as long as a test runs.
const PASSWORD: &str = "purefold-test";

/// Users that PostgreSQL runs as where the tests are root, whom it refuses; the first that there is.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Who may connect where there is TLS: everybody by it, and whoever prepares a test without.
const ACCESS: &str = "local all all trust\nhost all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";

/// Connections at a time: the tests of one run, side by side.
const CONNECTIONS: u32 = 200;

/// What a cluster with TLS has besides.
#[derive(Clone, Debug)]
pub struct SecurePostgres {
    /// What the server shows, and who vouches for it.
    pub certificates: Certificates,
}

impl SecurePostgres {
    pub(crate) fn make(folder: &Path, make: &Make) -> SecurePostgres {
        SecurePostgres { certificates: Certificates::made(folder, make) }
    }

    /// The server's arguments. Its key is nobody else's to read.
    fn arguments(&self, folder: &Path, user: Option<&User>) -> Result<Vec<String>> {
        let Certificates { service, service_key, .. } = &self.certificates;
        fs::set_permissions(service_key, Permissions::from_mode(0o600)).context("cannot keep the server's key from others")?;
        let access = folder.join("access");
        fs::write(&access, ACCESS).with_context(|| format!("cannot write {}", access.display()))?;
        for path in [service, service_key, &access] {
            give(path, user)?;
        }
        let set = |name: &str, value: String| ["-c".to_owned(), format!("{name}={value}")];
        let shown = |path: &Path| path.display().to_string();
        let all = [
            set("ssl", "on".into()),
            set("ssl_cert_file", shown(service)),
            set("ssl_key_file", shown(service_key)),
            set("hba_file", shown(&access)),
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

pub(crate) fn plan(folder: &Path, settings: &[(&str, &str)], secure: Option<&SecurePostgres>) -> Result<Plan> {
    let (initdb, postgres) = programs()?;
    let [port] = ports::free()?;
    let user = if program::is_root() { Some(other_user()?) } else { None };
    let data = folder.join("data");
    let password = folder.join("password");
    fs::write(&password, PASSWORD).with_context(|| format!("cannot write {}", password.display()))?;
    for path in [folder, &password] {
        give(path, user.as_ref())?;
    }
    let mut make = as_user(user.as_ref(), &initdb);
    make.args(["--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    make.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data).current_dir(folder);
    program::said(&mut make).context("cannot make a PostgreSQL cluster")?;
    let mut command = as_user(user.as_ref(), &postgres);
    command.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1"]).current_dir(folder);
    command.arg("-c").arg(format!("port={port}")).arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
    command.arg("-c").arg(format!("max_connections={CONNECTIONS}"));
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    if let Some(secure) = secure {
        command.args(secure.arguments(folder, user.as_ref())?);
    }
    // The line of the file of the process's number that says whether connections are taken. One that a killed process
    // left says so too, until the next process has written it anew, and only then does that listen.
    let is_ready = move |folder: &Path| {
        let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
        let lines = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        listens && lines.lines().nth(7).is_some_and(|line| line.trim() == "ready")
    };
    Ok(Plan {
        kind: Kind::Postgres,
        address: format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"),
        command,
        // Does not wait for clients to leave.
        stop: "INT",
        // Unlike a kill, takes its shared memory with it.
        end: "QUIT",
        is_ready: Box::new(is_ready),
    })
}

/// Gives a file to the user that the server runs as.
fn give(path: &Path, user: Option<&User>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.id), Some(user.group)).with_context(|| format!("cannot give {} to {}", path.display(), user.name))
}

fn programs() -> Result<(PathBuf, PathBuf)> {
    if let Some(found) = find() {
        return Ok(found);
    }
    debian::install("PostgreSQL is missing: there are no `initdb` and `postgres` on the PATH", &["postgresql"])?;
    find().context("the package postgresql has no `initdb` and `postgres` where they are expected")
}

fn find() -> Option<(PathBuf, PathBuf)> {
    if let Some(found) = program::on_the_path(&["initdb"]).zip(program::on_the_path(&["postgres"])) {
        return Some(found);
    }
    let versions = fs::read_dir(DEBIAN).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let newest = versions.filter(|folder| folder.join("postgres").is_file()).max_by_key(|folder| version(folder))?;
    Some((newest.join("initdb"), newest.join("postgres")))
}

/// The number in `/usr/lib/postgresql/15/bin`.
fn version(folder: &Path) -> u32 {
    folder.parent().and_then(|folder| folder.file_name()?.to_str()?.parse().ok()).unwrap_or(0)
}

struct User {
    name: &'static str,
    id: u32,
    group: u32,
}

fn other_user() -> Result<User> {
    ensure!(
        program::on_the_path(&["setpriv"]).is_some(),
        "PostgreSQL refuses to run as root, and there is no `setpriv` to run it as another user; install util-linux"
    );
    let id = |name: &str, what: &str| program::said(Command::new("id").args([what, name])).ok()?.trim().parse().ok();
    let found = USERS.iter().find_map(|name| Some(User { name, id: id(name, "-u")?, group: id(name, "-g")? }));
    found.with_context(|| format!("PostgreSQL refuses to run as root, and there is no user {} to run it as", USERS.join(" or ")))
}

/// `program`, run as `user` where one is given. `setpriv` becomes the program: no process stands between.
fn as_user(user: Option<&User>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", user.id), format!("--regid={}", user.group), "--clear-groups".to_owned()]).arg(program);
    command
}
