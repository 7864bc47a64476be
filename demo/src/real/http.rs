//! What an agent has, and what the host tells of itself, by the plainest HTTP there is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The JSON that the agent at `http://host:port` answers.
pub(super) fn get(agent: &str, path: &str) -> Result<Value> {
    serde_json::from_str(&text(agent, path)?).with_context(|| format!("{agent}{path} is no JSON"))
}

/// What a server at `http://host:port` answers.
pub(super) fn text(server: &str, path: &str) -> Result<String> {
    let host = server.strip_prefix("http://").context("the server is asked by http")?.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).with_context(|| format!("cannot reach {server}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // Of this version of HTTP the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{server} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{server} answers no HTTP"))?;
    if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
        bail!("{server}{path} answered {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}
