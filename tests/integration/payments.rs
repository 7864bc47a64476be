//! A payment service on the loopback: it speaks HTTP/1.1, answers as a test has it, and keeps what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::request;

/// What the service was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it came.
    pub(crate) at: Instant,
    /// Method and path.
    pub(crate) what: String,
    /// The key under which a repetition is the same request.
    pub(crate) idempotency_key: String,
    /// The correlation id.
    pub(crate) correlation_id: String,
    /// Who asks, by the header of that name.
    pub(crate) authorization: String,
    /// What it follows from, by the header of that name.
    pub(crate) trace_parent: String,
    /// The body.
    pub(crate) body: Value,
}

/// What the service does.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, further header lines (each with its end), body.
    Reply(&'static str, String, String),
    /// Closes without a word.
    HangUp,
}

impl Answer {
    /// A receipt over this amount.
    pub(crate) fn receipt(amount: &Value) -> Answer {
        Answer::Reply(
            "200 OK",
            String::new(),
            json!({"charge_id": "ch-1", "amount": amount, "fee_rate": 0.015, "ignored": true}).to_string(),
        )
    }

    /// No, in so many words.
    pub(crate) fn status(status: &'static str) -> Answer {
        Answer::Reply(status, String::new(), String::new())
    }
}

type Behaviour = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// A running service; it lives as long as the test's process.
pub(crate) struct Payments {
    /// Its port on the loopback.
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Payments {
    /// Starts on a free port. `answer` is told the request and how often the same path was asked for before.
    pub(crate) fn answering(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Payments {
        Payments::answering_at(0, answer)
    }

    /// Starts on that port.
    pub(crate) fn answering_at(port: u16, answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Payments {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Behaviour>) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                // A client that goes away in the middle is what some tests are about.
                thread::spawn(move || serve(stream, &kept, &*answer).ok());
            }
        });
        Payments { port, requests }
    }

    /// A service that charges whatever it is asked to.
    pub(crate) fn willing() -> Payments {
        Payments::answering(|request, _| Answer::receipt(&request.body["amount"]))
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no server thread failed").clone()
    }

    /// What it was asked so far under a path.
    pub(crate) fn requests_for(&self, what: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.what == what).collect()
    }
}

/// A port of the loopback on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there is a free port").port()
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answer: &Behaviour) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        let before = {
            let mut kept = kept.lock().expect("no server thread failed");
            kept.push(request.clone());
            kept.iter().filter(|other| other.what == request.what).count() - 1
        };
        let Answer::Reply(status, headers, body) = answer(&request, before) else { return Ok(()) };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        // In one piece: the rest of an answer in pieces would wait until the client has acknowledged the first.
        writer.write_all((head + &body).as_bytes())?;
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let Some(request) = request::Request::read(reader)? else { return Ok(None) };
    Ok(Some(Request {
        at: Instant::now(),
        idempotency_key: request.header("idempotency-key"),
        correlation_id: request.header("x-correlation-id"),
        authorization: request.header("authorization"),
        trace_parent: request.header("traceparent"),
        body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
        what: request.what,
    }))
}
