//! A client of ManageSieve (RFC 5804) that sends exactly the bytes it is given, and a certificate for its server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::child::run;
use super::place::{PATIENCE, Place};

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A session.
pub struct Client {
    stream: Box<dyn Stream>,
    tcp: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<(Client, String)> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client {
            stream: Box::new(tcp.try_clone()?),
            tcp,
            buffer: Vec::new(),
        };
        let greeting = client.response()?;
        Ok((client, greeting))
    }

    /// Sends a line and reads the response to it.
    pub fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.response().expect("a response")
    }

    /// Logs in by PLAIN; the argument is in base 64.
    pub fn log_in(&mut self, base64: &str) -> String {
        self.command(&format!("AUTHENTICATE \"PLAIN\" \"{base64}\""))
    }

    /// Stores a script.
    pub fn put(&mut self, name: &str, script: &str) -> String {
        self.command(&format!("PUTSCRIPT \"{name}\" {{{}+}}\r\n{script}", script.len()))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
        self.stream.flush().expect("sent");
    }

    /// Makes TLS, trusting this authority, and reads the capabilities.
    pub fn tls(self, authority: &Path) -> io::Result<(Client, String)> {
        assert!(self.buffer.is_empty(), "{:?}", String::from_utf8_lossy(&self.buffer));
        let mut roots = RootCertStore::empty();
        let pem = fs::read(authority)?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.expect("PEM")).expect("an authority");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut client = Client {
            stream: Box::new(StreamOwned::new(connection, self.tcp.try_clone()?)),
            tcp: self.tcp,
            buffer: Vec::new(),
        };
        let capabilities = client.response()?;
        Ok((client, capabilities))
    }

    /// Reads up to OK, NO or BYE, literals included.
    pub fn response(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let begin = text.len();
            loop {
                let line = self.line()?;
                text.push_str(&line);
                let size = line.trim_end().strip_suffix('}').and_then(|line| line.rsplit_once('{'));
                let Some(Ok(size)) = size.map(|(_, size)| size.parse::<usize>()) else {
                    break;
                };
                text.push_str(&self.exactly(size)?);
            }
            if ["OK", "NO", "BYE"].iter().any(|word| text[begin..].starts_with(word)) {
                return Ok(text);
            }
        }
    }

    /// Whether the server has closed.
    pub fn is_closed(&mut self) -> bool {
        self.line().is_err()
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                return self.exactly(at + 2);
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, size: usize) -> io::Result<String> {
        while self.buffer.len() < size {
            self.more()?;
        }
        let bytes: Vec<u8> = self.buffer.drain(..size).collect();
        Ok(String::from_utf8(bytes).expect("UTF-8"))
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..read]);
        match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A certificate for localhost, its key, and the authority that vouches for it.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

impl Certificate {
    /// Has openssl(1) make one; made again, it is another, of another authority.
    pub fn make(place: &Place) -> Certificate {
        let extensions = place.file("tls/extensions", "subjectAltName = DNS:localhost, IP:127.0.0.1\n");
        let folder = place.path("tls");
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.current_dir(&folder).args(arguments.split(' '));
            run(&mut command);
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout authority.key -out authority.pem -subj /CN=authority -days 2"
        ));
        openssl(&format!(
            "req {key} -keyout key.pem -out request.pem -subj /CN=localhost"
        ));
        openssl(&format!(
            "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -out certificate.pem -days 2 \
             -extfile {}",
            extensions.display()
        ));
        Certificate {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            authority: folder.join("authority.pem"),
        }
    }
}
