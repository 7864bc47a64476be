//! Consul: from the PATH, else unpacked from a package of Debian.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::instance::Plan;
use crate::{Cache, Kind, debian, ports, program};

/// The release of Debian that has a Consul, and where its packages' signatures are checked.
const SUITE: &str = "bullseye";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Connections at a time from this machine: the hosts of the tests of one run, side by side. An agent's own limit is 200.
const CONNECTIONS: u32 = 5_000;

/// Longest wait for one answer of an agent that is starting.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How a Consul is to be.
#[derive(Clone, Debug, Default)]
pub struct Consul {
    /// The token that may do everything, a UUID; with it, whoever shows no token may do nothing.
    pub token: Option<String>,
    /// Whether it has on disk what it knows, and so has it again after its end.
    pub keeps_data: bool,
}

pub(crate) fn plan(cache: &Cache, folder: &Path, options: &Consul) -> Result<Plan> {
    let program = program(cache)?;
    let modern = is_modern(&program)?;
    let [http, serf, server] = ports::free()?;
    let file = folder.join("consul.hcl");
    fs::write(&file, configuration(http, serf, server, modern, options)).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new(program);
    command.arg("agent");
    if options.keeps_data {
        command.args(["-server", "-bootstrap-expect=1", "-data-dir"]).arg(folder.join("data"));
    } else {
        command.arg("-dev");
    }
    command.arg("-config-file").arg(&file).current_dir(folder);
    let token = options.token.clone();
    let is_ready = move |_: &Path| {
        let leader = ask(http, "/v1/status/leader", None).is_some_and(|body| body.contains(':'));
        leader && ask(http, "/v1/catalog/nodes", token.as_deref()).is_some_and(|body| body.contains("purefold-test"))
    };
    Ok(Plan {
        kind: Kind::Consul,
        address: format!("http://127.0.0.1:{http}"),
        command,
        stop: "TERM",
        end: "KILL",
        is_ready: Box::new(is_ready),
    })
}

fn configuration(http: u16, serf: u16, server: u16, modern: bool, options: &Consul) -> String {
    let grpc_tls = if modern { ", grpc_tls = -1" } else { "" };
    let mut text = format!(
        "node_name = \"purefold-test\"\nbind_addr = \"127.0.0.1\"\nclient_addr = \"127.0.0.1\"\n\
         ports {{ http = {http}, serf_lan = {serf}, server = {server}, dns = -1, grpc = -1, https = -1, serf_wan = -1{grpc_tls} }}\n\
         disable_update_check = true\nlog_level = \"warn\"\nperformance {{ raft_multiplier = 1 }}\n\
         limits {{ http_max_conns_per_client = {CONNECTIONS} }}\n"
    );
    if let Some(token) = &options.token {
        let management = if modern { "initial_management" } else { "master" };
        // Without the agent's own token it could not take a service out of the catalogue again.
        text +=
            &format!("acl {{ enabled = true, default_policy = \"deny\", tokens {{ {management} = \"{token}\", agent = \"{token}\" }} }}\n");
    }
    text
}

/// `Consul v1.8.7` and the like: from 1.14 on some settings have other names.
fn is_modern(program: &Path) -> Result<bool> {
    let said = program::said(Command::new(program).arg("version"))?;
    let version = said.lines().next().and_then(|line| line.rsplit_once('v')).map(|(_, version)| version.to_owned()).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    Ok((numbers.next(), numbers.next()) >= (Some(1), Some(14)))
}

fn program(cache: &Cache) -> Result<PathBuf> {
    if let Some(program) = program::on_the_path(&["consul"]) {
        return Ok(program);
    }
    Ok(cache.fetched("consul", fetch)?.join("usr/bin/consul"))
}

/// Unpacks the package `consul` of an older Debian without installing anything: lists and downloads are in a folder of
/// their own, the mirror is the one that this machine's apt uses.
fn fetch(folder: &Path) -> Result<()> {
    let missing = "Consul is missing: there is no `consul` on the PATH";
    if program::on_the_path(&["apt-get"]).is_none() || program::on_the_path(&["dpkg"]).is_none() {
        bail!("{missing}, and no apt to fetch Debian's package by. Install Consul 1.8 or newer");
    }
    eprintln!("{missing}; unpacking Debian's package consul ({SUITE})");
    let mirror = mirror()?;
    let apt = folder.join("apt");
    fs::create_dir_all(apt.join("lists/partial"))?;
    fs::create_dir_all(apt.join("cache/archives/partial"))?;
    fs::write(apt.join("sources.list"), format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"))?;
    fs::write(apt.join("status"), "")?;
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for (name, path) in [
            ("Dir::Etc::SourceList", apt.join("sources.list")),
            ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
            ("Dir::State::Lists", apt.join("lists")),
            ("Dir::State::Status", apt.join("status")),
            ("Dir::Cache", apt.join("cache")),
        ] {
            command.arg("-o").arg(format!("{name}={}", path.display()));
        }
        // The folder is this user's, not apt's.
        command
            .args([
                "-o",
                "APT::Sandbox::User=root",
                "-o",
                "Acquire::Languages=none",
                "-o",
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
                "--quiet",
            ])
            .args(arguments);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("`apt-get {}` failed ({status}); install Consul 1.8 or newer and put it on the PATH", arguments.join(" ")),
            Err(error) => Err(error).context("cannot start `apt-get`"),
        }
    };
    apt_get(&["update"])?;
    apt_get(&["download", "consul"])?;
    let package =
        fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.context("apt downloaded no package")?;
    program::said(Command::new("dpkg").arg("-x").arg(&package).arg(folder))?;
    fs::remove_file(&package)?;
    fs::remove_dir_all(&apt)?;
    Ok(())
}

/// Where this machine's apt has Debian's packages from.
fn mirror() -> Result<String> {
    let format = "$(REPO_URI) $(RELEASE)";
    let said = program::said(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let of_debian = |line: &&str| line.split_whitespace().nth(1).is_some_and(|release| !release.contains('-'));
    let found = said.lines().find(of_debian).and_then(|line| line.split_whitespace().next()).map(str::to_owned);
    if found.is_none() && program::is_root() {
        debian::install("apt has no lists of packages", &["debian-archive-keyring"])?;
    }
    found.context("apt names no mirror; run `apt-get update`, or put Consul 1.8 or newer on the PATH")
}

/// The body of an answer, if one comes.
fn ask(port: u16, path: &str, token: Option<&str>) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_WAIT)).ok()?;
    let token = token.map(|token| format!("X-Consul-Token: {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n{token}\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
