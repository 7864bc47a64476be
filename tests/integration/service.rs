//! An HTTP service on the loopback: it answers as a test has it, and keeps what it was asked.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::request;

/// For how long a silent service keeps a connection: longer than any test takes.
const SILENCE: Duration = Duration::from_secs(600);

/// What the service does.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, further header lines (each with its end), body.
    Reply(&'static str, String, String),
    /// Closes without a word.
    HangUp,
    /// Says nothing and keeps the connection.
    Silence,
}

impl Answer {
    /// A status, and nothing else.
    pub(crate) fn status(status: &'static str) -> Answer {
        Answer::Reply(status, String::new(), String::new())
    }
}

/// What a service makes of what it is asked.
pub(crate) struct Manner<R> {
    /// Reads a request.
    pub(crate) read: fn(request::Request) -> R,
    /// How many of the earlier requests count, for the one at hand.
    pub(crate) earlier: fn(&[R], &R) -> usize,
}

/// A running service; it lives as long as the test's process.
pub(crate) struct Service<R> {
    /// Its port on the loopback.
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<R>>>,
}

impl<R: Clone + Send + 'static> Service<R> {
    /// Starts on that port, or on a free one where it is 0. `answer` is told the request and how many earlier ones count.
    pub(crate) fn start(port: u16, manner: Manner<R>, answer: impl Fn(&R, usize) -> Answer + Send + Sync + 'static) -> Service<R> {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, shared) = (Arc::clone(&requests), Arc::new((manner, answer)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, shared) = (Arc::clone(&kept), Arc::clone(&shared));
                // A client that goes away in the middle is what some tests are about.
                thread::spawn(move || serve(stream, &kept, &shared.0, &shared.1).ok());
            }
        });
        Service { port, requests }
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<R> {
        self.requests.lock().expect("no server thread failed").clone()
    }
}

/// A port of the loopback on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there is a free port").port()
}

fn serve<R: Clone>(
    stream: TcpStream,
    kept: &Mutex<Vec<R>>,
    manner: &Manner<R>,
    answer: &dyn Fn(&R, usize) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = request::Request::read(&mut reader)? {
        let request = (manner.read)(request);
        let earlier = {
            let mut kept = kept.lock().expect("no server thread failed");
            let earlier = (manner.earlier)(&kept, &request);
            kept.push(request.clone());
            earlier
        };
        match answer(&request, earlier) {
            Answer::HangUp => return Ok(()),
            Answer::Silence => thread::sleep(SILENCE),
            Answer::Reply(status, headers, body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n");
                // In one piece: the rest of an answer in pieces would wait until the client has acknowledged the first.
                writer.write_all((head + &body).as_bytes())?;
            }
        }
    }
    Ok(())
}
