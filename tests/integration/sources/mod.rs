//! Where events come from: requests, files that are followed, lines.

mod follow;
mod http;
mod http_bounds;
mod http_load;
mod kafka;
mod lines;

use std::io::BufReader;
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
        let (address, told) = running.listens("listening on http://");
        Host { running, address, _told: told }
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.address).expect("the host listens")
    }
}
