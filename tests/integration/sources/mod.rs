//! Where events come from: requests, files that are followed, lines.

mod follow;
mod http;
mod http_bounds;
mod http_load;
mod lines;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::ChildStderr;

use crate::client::Client;
use crate::place::{Place, Running};

/// A host that listens.
pub(super) struct Host {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
    // Kept, so that the host can go on writing.
    _told: BufReader<ChildStderr>,
}

impl Host {
    /// Starts a host that listens on a port of its choice.
    pub(super) fn start(place: &Place, options: &[&str]) -> Host {
        let mut running = Running::start(place.command("run", &[&["--listen", "127.0.0.1:0"], options].concat()));
        let mut told = BufReader::new(running.child().stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        while !line.starts_with("listening on http://") {
            line.clear();
            assert!(told.read_line(&mut line).expect("standard error can be read") > 0, "it ended before it listened");
        }
        let address = line.trim_start_matches("listening on http://").trim().parse().expect("an address");
        Host { running, address, _told: told }
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.address).expect("the host listens")
    }
}
