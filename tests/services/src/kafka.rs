//! Apache Kafka: from the PATH, else its libraries by Maven; either way it is started by `java` itself.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::instance::Plan;
use crate::{Cache, Certificates, Kind, Make, debian, ports, program};

/// The libraries of one version of Kafka and of what it logs by.
const POM: &str = include_str!("kafka/pom.xml");

/// Says when the broker is up, and otherwise nothing but warnings.
const LOGGING: &str = include_str!("kafka/log4j2.properties");

/// What every broker has; the ports and the folder come on top.
const PROPERTIES: &str = include_str!("kafka/server.properties");

/// Sixteen bytes in base64: the name of a cluster that nobody else joins.
const CLUSTER: &str = "cHVyZWZvbGQtdGVzdC1rYQ";

/// What the log says when all is up.
const STARTED: &str = "Kafka Server started";

/// Who may log in by a name and a password.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// How it is shown.
    pub mechanism: &'static str,
    /// The name.
    pub user: &'static str,
    /// The password.
    pub password: &'static str,
}

/// The further ways in which a broker is reached.
#[derive(Clone, Debug)]
pub struct SecureKafka {
    /// Over TLS, with a certificate of the client's.
    pub tls: String,
    /// Over TLS, with a name and a password.
    pub sasl: String,
    /// Without TLS, with a name and a password.
    pub bare_sasl: String,
    /// What both sides show and trust.
    pub certificates: Certificates,
}

impl SecureKafka {
    /// Those that a name and a password may be shown by.
    pub const LOGINS: [Login; 3] = [
        Login { mechanism: "PLAIN", user: "plain", password: "purefold-plain-word" },
        Login { mechanism: "SCRAM-SHA-256", user: "scram-256", password: "purefold-scram-word-256" },
        Login { mechanism: "SCRAM-SHA-512", user: "scram-512", password: "purefold-scram-word-512" },
    ];

    pub(crate) fn make(folder: &Path, make: &Make) -> Result<SecureKafka> {
        let ports: [u16; 3] = ports::free()?;
        let [tls, sasl, bare_sasl] = ports.map(|port| format!("127.0.0.1:{port}"));
        Ok(SecureKafka { tls, sasl, bare_sasl, certificates: Certificates::made(folder, make) })
    }

    /// Settings of the broker. Its key and certificate stand in one file.
    fn properties(&self, folder: &Path) -> Result<String> {
        let Certificates { authority, service, service_key, .. } = &self.certificates;
        let keystore = folder.join("keystore.pem");
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        fs::write(&keystore, read(service_key)? + &read(service)?).with_context(|| format!("cannot write {}", keystore.display()))?;
        let [Login { user, password, .. }, ..] = SecureKafka::LOGINS;
        let mechanisms = SecureKafka::LOGINS.map(|login| login.mechanism).join(",");
        let module = "org.apache.kafka.common.security";
        let logins = |listener: &str| {
            let name = format!("listener.name.{listener}");
            format!(
                "{name}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{user}=\"{password}\";\n\
                 {name}.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
                 {name}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n"
            )
        };
        Ok(format!(
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             listener.name.ssl.ssl.client.auth=required\nsasl.enabled.mechanisms={mechanisms}\n\
             {}{}",
            keystore.display(),
            authority.display(),
            logins("sasl_ssl"),
            logins("sasl_plaintext")
        ))
    }
}

pub(crate) fn plan(cache: &Cache, folder: &Path, secure: Option<&SecureKafka>) -> Result<Plan> {
    let libraries = libraries(cache)?;
    let [broker, controller] = ports::free()?;
    let logs = folder.join("data");
    let properties = folder.join("server.properties");
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{broker}");
    let mut also = String::new();
    if let Some(secure) = secure {
        listeners += &format!(",SSL://{},SASL_SSL://{},SASL_PLAINTEXT://{}", secure.tls, secure.sasl, secure.bare_sasl);
        also = secure.properties(folder)?;
    }
    // Of a setting that stands there twice, the later one counts.
    let text = format!(
        "{PROPERTIES}\ncontroller.quorum.voters=1@127.0.0.1:{controller}\nlisteners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={listeners}\nlog.dirs={}\n{also}",
        logs.display()
    );
    fs::write(&properties, text).with_context(|| format!("cannot write {}", properties.display()))?;
    let logging = folder.join("log4j2.properties");
    fs::write(&logging, LOGGING).with_context(|| format!("cannot write {}", logging.display()))?;
    let java = || {
        let mut java = Command::new("java");
        java.args(["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true"]);
        java.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        java.arg("-cp").arg(format!("{}/*", libraries.display())).current_dir(folder);
        java
    };
    let mut format = java();
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(&properties);
    // Users by SCRAM stand in the cluster's metadata.
    for Login { mechanism, user, password } in SecureKafka::LOGINS.iter().filter(|login| secure.is_some() && login.mechanism != "PLAIN") {
        format.arg("--add-scram").arg(format!("{mechanism}=[name={user},password={password}]"));
    }
    program::said(&mut format).context("cannot make the folder of a Kafka broker")?;
    let mut command = java();
    command.arg("kafka.Kafka").arg(&properties);
    let is_ready = move |folder: &Path| {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        log.contains(STARTED) && TcpStream::connect(("127.0.0.1", broker)).is_ok()
    };
    Ok(Plan { kind: Kind::Kafka, address: format!("127.0.0.1:{broker}"), command, stop: "TERM", end: "KILL", is_ready: Box::new(is_ready) })
}

/// The folder of Kafka's libraries.
fn libraries(cache: &Cache) -> Result<PathBuf> {
    if program::on_the_path(&["java"]).is_none() {
        debian::install("Java is missing, in which Kafka runs: there is no `java` on the PATH", &["default-jre-headless"])?;
    }
    // The script of a distribution lies in `bin`, its libraries beside that in `libs`.
    let script = program::on_the_path(&["kafka-server-start.sh", "kafka-server-start"]).and_then(|script| script.canonicalize().ok());
    if let Some(libraries) = script.and_then(|script| Some(script.parent()?.parent()?.join("libs"))).filter(|libraries| libraries.is_dir())
    {
        return Ok(libraries);
    }
    Ok(cache.fetched("kafka", fetch)?.join("libs"))
}

fn fetch(folder: &Path) -> Result<()> {
    if program::on_the_path(&["mvn"]).is_none() {
        let missing = "Kafka is missing: there is no `kafka-server-start.sh` on the PATH, and no `mvn` to fetch it by";
        debian::install(missing, &["maven"])?;
    }
    fs::write(folder.join("pom.xml"), POM)?;
    eprintln!("Kafka is missing: fetching its libraries by Maven (43 MB)");
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "dependency:copy-dependencies"]).current_dir(folder);
    let mut maven = maven.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start `mvn`")?;
    let said = maven.stdout.take().context("`mvn` has no output")?;
    let (mut files, mut errors) = (0_usize, Vec::new());
    for line in BufReader::new(said).lines() {
        let line = line.context("cannot read what `mvn` prints")?;
        if line.contains("Downloaded from") {
            files += 1;
            progress(files);
        } else if line.contains("ERROR") {
            errors.push(line);
        }
    }
    eprintln!();
    let status = maven.wait().context("cannot wait for `mvn`")?;
    if !status.success() {
        bail!(
            "Kafka cannot be fetched by Maven ({status}); where the network forbids it, put a Kafka 4 on the PATH\n{}",
            errors.join("\n")
        );
    }
    Ok(())
}

/// A dot for each ten files; on a terminal their number.
fn progress(files: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{files} files");
    } else if files.is_multiple_of(10) {
        eprint!(".");
    }
    // It is nothing but a sign of life.
    let _ = std::io::stderr().flush();
}
