//! A server on the loopback that answers as it is told and keeps what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Closes without a byte.
    Close,
    /// Never answers.
    Silence,
}

pub(super) struct Server {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers every request in the same way.
    pub(super) async fn answering(answer: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, answer.clone(), Arc::clone(&kept)));
            }
        });
        Server { address, requests }
    }

    /// The requests so far, as they came over the wire.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An answer with these lines between status and body.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()).into_bytes())
}

async fn serve(mut stream: TcpStream, answer: Answer, kept: Arc<Mutex<Vec<String>>>) {
    let mut read = Vec::new();
    while !is_whole(&read) {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        read.extend_from_slice(&chunk[..count]);
    }
    kept.lock().unwrap().push(String::from_utf8(read).unwrap());
    match answer {
        Answer::Raw(bytes) => {
            // The client may hang up before the end: some tests send more than it reads.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Close => {}
        Answer::Silence => std::future::pending().await,
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}
