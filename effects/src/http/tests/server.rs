//! A server on the loopback that answers as it is told and keeps what it was asked.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

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
        Server::start(answer, None).await
    }

    /// The same over TLS.
    pub(super) async fn answering_by_tls(answer: Answer, identity: &Identity) -> Server {
        Server::start(answer, Some(identity.acceptor())).await
    }

    async fn start(answer: Answer, tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, kept, tls) = (answer.clone(), Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, kept).await,
                        // Who does not trust this server hangs up.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, kept).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, requests }
    }

    /// The requests so far, as they came over the wire.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Who a server is: a certificate for the loopback, vouched for by itself.
pub(super) struct Identity(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Identity {
    pub(super) fn new() -> Identity {
        Identity(rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap())
    }

    /// The certificate, as a file has it.
    pub(super) fn pem(&self) -> String {
        self.0.cert.pem()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from(self.0.cert.der().to_vec());
        let key = PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der());
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key.into()).unwrap()))
    }
}

/// An answer with these lines between status and body.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()).into_bytes())
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, kept: Arc<Mutex<Vec<String>>>) {
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
