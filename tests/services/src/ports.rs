//! Free ports of the loopback.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::ops::Range;

use anyhow::{Result, bail};

/// Below the ports that systems give to outgoing connections: a service that is started again must find its port free.
const RANGE: Range<u16> = 15_000..32_000;

/// Ports that are tried before it is said that none is free.
const TRIES_MAX: usize = 1_000;

/// `N` different ports that nobody listens on now. Who is told of one should listen soon.
pub(crate) fn free<const N: usize>() -> Result<[u16; N]> {
    let mut held: Vec<(u16, TcpListener)> = Vec::with_capacity(N);
    for _ in 0..TRIES_MAX {
        if held.len() == N {
            break;
        }
        let port = any();
        // Two ports are never the same, as the ones before are still listened on.
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    match held.iter().map(|(port, _)| *port).collect::<Vec<u16>>().try_into() {
        Ok(ports) => Ok(ports),
        Err(_) => bail!("no free port on 127.0.0.1 among {TRIES_MAX} tried from {} to {}", RANGE.start, RANGE.end),
    }
}

/// Any port of the range; the standard library's keys for hash maps are the chance in it.
fn any() -> u16 {
    let count = u64::from(RANGE.end - RANGE.start);
    let chance = RandomState::new().build_hasher().finish() % count;
    RANGE.start + u16::try_from(chance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn ports_differ_and_can_be_listened_on() {
        let ports = free::<8>().unwrap();
        let listen = |port: &u16| {
            let begun = Instant::now();
            loop {
                match TcpListener::bind(("127.0.0.1", *port)) {
                    // A process that another test is just starting holds what this one held, until it runs a program of its own.
                    Err(_) if begun.elapsed() < Duration::from_secs(5) => std::thread::sleep(Duration::from_millis(10)),
                    listening => return listening,
                }
            }
        };
        let listeners: Vec<_> = ports.iter().map(listen).collect();
        assert!(listeners.iter().all(Result::is_ok), "{listeners:?}");
        assert!(ports.iter().all(|port| RANGE.contains(port)));
    }
}
