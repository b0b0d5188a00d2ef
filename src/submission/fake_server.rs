//! A scripted SMTP server on 127.0.0.1 for tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The certificate of `localhost` and 127.0.0.1; it vouches for itself until 2126.
pub(super) const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/submission/fixtures/localhost.crt");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/submission/fixtures/localhost.key");

/// What the client is to send, by its beginning, and the answer.
///
/// The first step of a connection is the greeting, with nothing to send. `"."` is the content.
pub(super) type Step = (&'static str, &'static str);

/// An answer: nothing more is said, the connection stays.
pub(super) const SILENCE: &str = "silence";
/// An answer: the connection is closed.
pub(super) const HANG_UP: &str = "hang up";
/// An answer to STARTTLS: yes, and then no TLS.
pub(super) const BROKEN_TLS: &str = "220 broken";

/// A server that plays one script for each connection, then ends.
pub(super) struct FakeServer {
    /// `127.0.0.1:port`.
    pub address: String,
    thread: JoinHandle<String>,
}

impl FakeServer {
    pub(super) fn new(connections: Vec<Vec<Step>>) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = std::thread::spawn(move || {
            let mut seen = String::new();
            for script in connections {
                let (socket, _) = listener.accept().unwrap();
                play(Box::new(socket), &script, &mut seen);
            }
            seen
        });
        FakeServer { address, thread }
    }

    /// What all clients sent, dots unstuffed nowhere; blocks until the script is done.
    pub(super) fn seen(self) -> String {
        self.thread.join().unwrap()
    }
}

trait Peer: Read + Write + Send {}
impl<T: Read + Write + Send> Peer for T {}

fn play(peer: Box<dyn Peer>, script: &[Step], seen: &mut String) {
    let mut peer = BufReader::new(peer);
    for (expected, answer) in script {
        if !expected.is_empty() {
            let Some(received) = receive(&mut peer, expected) else {
                seen.push_str("(gone)\n");
                return;
            };
            assert!(received.starts_with(expected), "{received:?} instead of {expected:?}");
            seen.push_str(&received);
        }
        match *answer {
            HANG_UP => return,
            SILENCE => {
                // Until the client closes.
                let _ = peer.read_to_end(&mut Vec::new());
                return;
            }
            answer => {
                let _ = peer.get_mut().write_all(format!("{answer}\r\n").as_bytes());
            }
        }
        if *expected == "STARTTLS" && *answer == BROKEN_TLS {
            // The greeting of TLS has come; what follows is none.
            let _ = peer.fill_buf();
            let _ = peer.get_mut().write_all(b"500 what?\r\n");
            return;
        }
        if *expected == "STARTTLS" && answer.starts_with("220") {
            let connection = ServerConnection::new(server_config()).unwrap();
            peer = BufReader::new(Box::new(StreamOwned::new(connection, peer.into_inner())));
        }
    }
}

/// A command line, or the content up to its final dot; none where the client is gone.
fn receive(peer: &mut impl BufRead, expected: &str) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        if peer.read_until(b'\n', &mut bytes).ok()? == 0 {
            return None;
        }
        if expected != "." || &bytes[start..] == b".\r\n" {
            // "." expects any content.
            let text = String::from_utf8(bytes).unwrap();
            return Some(if expected == "." { format!(".{text}") } else { text });
        }
    }
}

fn server_config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
