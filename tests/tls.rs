//! TLS at the doors for mail: STARTTLS and TLS from the first byte on, certificates of both sides, and what comes in
//! the clear behind STARTTLS. Beside bytes of our own stand swaks and a real Postfix.

mod support;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::child::run;
use support::managesieve::Certificate;
use support::peers;
use support::place::{PATIENCE, Place, free_address, wait_until};
use support::postfix::Postfix;
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";

struct Site {
    place: Place,
    postroom: Postroom,
    certificate: Certificate,
    door: SocketAddr,
}

impl Site {
    /// A site with one more door, of these settings; `tls` stands in [tls].
    fn serving(door: &str, tls: &str) -> Site {
        let (place, address) = (Place::new(), free_address());
        let certificate = Certificate::make(&place);
        let Certificate {
            certificate: file, key, ..
        } = &certificate;
        let more = format!(
            "\n[[listen]]\naddress = \"{address}\"\n{door}\n[tls]\ncertificate = {file:?}\nkey = {key:?}\n{tls}\n"
        );
        let wishes = Wishes {
            more: &more,
            ..Wishes::default()
        };
        let postroom = Postroom::serving(&place, &wishes);
        Site {
            place,
            postroom,
            certificate,
            door: address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.door).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream
    }

    fn trusting(&self, own: Option<&(PathBuf, PathBuf)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.certificate.authority) {
            roots.add(certificate).expect("an authority");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(&fs::read(key).expect("a key")).expect("PEM");
                builder
                    .with_client_auth_cert(certificates(certificate), key)
                    .expect("a pair")
            }
        }
    }

    /// Makes TLS of a connection, perhaps with a certificate of the client's own.
    fn secure(&self, stream: TcpStream, own: Option<&(PathBuf, PathBuf)>) -> io::Result<Talk> {
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::new(self.trusting(own));
        let mut tls = StreamOwned::new(ClientConnection::new(config, name).expect("a connection"), stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Talk(BufReader::new(Box::new(tls))))
    }
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let pem = fs::read(file).expect("a certificate");
    CertificateDer::pem_slice_iter(&pem)
        .map(|it| it.expect("PEM"))
        .collect()
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A dialogue, over whatever.
struct Talk(BufReader<Box<dyn Stream>>);

impl Talk {
    fn clear(stream: &TcpStream) -> Talk {
        Talk(BufReader::new(Box::new(stream.try_clone().expect("a second handle"))))
    }

    /// One reply, its lines joined.
    fn reply(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            text += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(text);
            }
        }
    }

    fn command(&mut self, line: &str) -> String {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .expect("sent");
        self.0.get_mut().flush().expect("sent");
        self.reply().expect("a reply")
    }

    #[track_caller]
    fn deliver(&mut self, hello: &str, from: &str) {
        for (line, code) in [
            (hello, "250"),
            (&format!("MAIL FROM:<{from}>"), "250"),
            (&format!("RCPT TO:<{ANN}>"), "250"),
            ("DATA", "354"),
            ("Subject: hello\r\n\r\nbody\r\n.", "250"),
        ] {
            let reply = self.command(line);
            assert!(reply.starts_with(code), "{line}: {reply}");
        }
    }
}

fn received(site: &Site) -> String {
    let text = site.postroom.texts(ANN, "INBOX").pop().expect("a message");
    let trace = text.split("\nSubject").next().expect("trace").to_owned();
    trace.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn starttls_forgets_what_came_before() {
    if !peers::present(&["openssl"]) {
        return;
    }
    for (protocol, hello, with) in [("smtp", "EHLO", "with ESMTPS"), ("lmtp", "LHLO", "with LMTPS")] {
        let site = Site::serving(&format!("protocol = {protocol:?}\ntls = \"starttls\""), "");
        let stream = site.connect();
        let mut clear = Talk::clear(&stream);
        assert!(clear.reply().expect("a greeting").starts_with("220 "));
        let capabilities = clear.command(&format!("{hello} in.the.clear"));
        assert!(capabilities.contains("STARTTLS"), "{capabilities}");
        // Who sits in between adds commands of his own, in the same packet.
        let injected = format!("STARTTLS\r\nMAIL FROM:<eve@example.net>\r\nRCPT TO:<{ANN}>\r\n");
        (&stream).write_all(injected.as_bytes()).expect("sent");
        let reply = clear.reply().expect("a reply");
        assert!(reply.starts_with("220 2.0.0"), "{reply}");
        let mut talk = site.secure(stream, None).expect("TLS");
        // Nothing of it is answered, and what was said before does not count either.
        let reply = talk.command(&format!("RCPT TO:<{ANN}>"));
        assert!(reply.starts_with("503"), "{reply}");
        let capabilities = talk.command(&format!("{hello} within.tls"));
        assert!(!capabilities.contains("STARTTLS"), "{capabilities}");
        talk.deliver(&format!("{hello} within.tls"), "s@example.net");
        let received = received(&site);
        assert!(received.contains(with) && received.contains("within.tls"), "{received}");
        assert!(received.contains("TLS"), "RFC 8314 §4.3: {received}");
        assert_eq!(site.postroom.count(ANN, "INBOX"), 1);
        // Who wants none needs none.
        let mut clear = Talk::clear(&site.connect());
        clear.reply().expect("a greeting");
        clear.deliver(&format!("{hello} in.the.clear"), "t@example.net");
    }
}

#[test]
fn required_means_no_mail_without() {
    if !peers::present(&["openssl"]) {
        return;
    }
    let site = Site::serving("protocol = \"smtp\"\ntls = \"required\"", "");
    let stream = site.connect();
    let mut clear = Talk::clear(&stream);
    clear.reply().expect("a greeting");
    clear.command("EHLO in.the.clear");
    let reply = clear.command("MAIL FROM:<s@example.net>");
    assert!(reply.starts_with("530 5.7.0"), "{reply}");
    assert!(clear.command("NOOP").starts_with("250"));
    assert!(clear.command("STARTTLS").starts_with("220"));
    let mut talk = site.secure(stream, None).expect("TLS");
    talk.deliver("EHLO within.tls", "s@example.net");
}

#[test]
fn implicit_and_a_new_certificate() {
    if !peers::present(&["openssl"]) {
        return;
    }
    let mut site = Site::serving("protocol = \"lmtp\"\ntls = \"implicit\"", "handshake_timeout = \"1 s\"");
    let mut talk = site.secure(site.connect(), None).expect("TLS");
    assert!(talk.reply().expect("a greeting").starts_with("220 "));
    talk.deliver("LHLO within.tls", "s@example.net");
    // One that never begins is not waited for.
    let begun = Instant::now();
    let read = site.connect().read(&mut [0; 1]);
    assert!(
        matches!(read, Ok(0)) && begun.elapsed() < Duration::from_secs(10),
        "{read:?}"
    );
    // A new certificate needs no restart, and sessions under way go on.
    Certificate::make(&site.place);
    assert!(
        site.secure(site.connect(), None).is_err(),
        "the server still shows the first"
    );
    site.postroom.running().signal(Signal::SIGHUP);
    wait_until("the new certificate is shown", || {
        site.secure(site.connect(), None).is_ok()
    });
    talk.deliver("LHLO within.tls", "t@example.net");
    // Behind a proxy, TLS begins after the header.
    let (place, door) = (Place::new(), free_address());
    let certificate = &site.certificate;
    let more = format!(
        "\n[[listen]]\naddress = \"{door}\"\nprotocol = \"lmtp\"\ntls = \"implicit\"\nproxy = true\n\
         trusted = [\"127.0.0.1\"]\nallow = [\"192.0.2.7\"]\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        certificate.certificate, certificate.key
    );
    let wishes = Wishes {
        more: &more,
        ..Wishes::default()
    };
    let _postroom = Postroom::serving(&place, &wishes);
    let mut stream = TcpStream::connect(door).expect("a connection");
    stream
        .write_all(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n")
        .expect("sent");
    let mut talk = site.secure(stream, None).expect("TLS");
    assert!(talk.reply().expect("a greeting").starts_with("220 "));
}

/// A certificate for a client, signed by the authority of the server's.
fn of_a_client(place: &Place) -> (PathBuf, PathBuf) {
    let extensions = place.file("tls/client", "subjectAltName = DNS:mta.example.org\n");
    let folder = place.path("tls");
    for arguments in [
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout client.key -out client.csr -subj /CN=mta"
            .to_owned(),
        format!(
            "x509 -req -in client.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out client.pem -days 2 \
             -extfile {}",
            extensions.display()
        ),
    ] {
        run(Command::new("openssl").current_dir(&folder).args(arguments.split(' ')));
    }
    (folder.join("client.pem"), folder.join("client.key"))
}

#[test]
fn certificates_of_clients() {
    if !peers::present(&["openssl"]) {
        return;
    }
    for required in [false, true] {
        let word = if required { "required" } else { "optional" };
        let place = Place::new();
        let authority = place.path("ca.pem");
        // The authority is known when the certificate is made; until then any file does.
        let site = Site::serving("protocol = \"lmtp\"\ntls = \"implicit\"", "");
        fs::copy(&site.certificate.authority, &authority).expect("copied");
        let text = fs::read_to_string(&site.postroom.config).expect("the configuration");
        let text = format!("{text}client_certificates = {word:?}\nclient_ca = {authority:?}\n");
        fs::write(&site.postroom.config, text).expect("the configuration");
        site.postroom.run(&["reload"]);
        let own = of_a_client(&site.place);
        let mut talk = site.secure(site.connect(), Some(&own)).expect("TLS");
        talk.reply().expect("a greeting");
        talk.deliver("LHLO within.tls", "s@example.net");
        assert!(received(&site).contains("with LMTPS"), "{}", received(&site));
        let log = site.postroom.log();
        let named = |line: &str| line.contains("came with a certificate") && line.contains("mta.example.org");
        assert!(log.lines().any(named), "{log}");
        // In TLS 1.3 the client hears of it after its handshake.
        let without = site.secure(site.connect(), None).and_then(|mut talk| talk.reply());
        assert_eq!(without.is_ok(), !required, "{without:?}");
        // One of another authority never counts.
        let elsewhere = Place::new();
        Certificate::make(&elsewhere);
        let strange = of_a_client(&elsewhere);
        let strange = site
            .secure(site.connect(), Some(&strange))
            .and_then(|mut talk| talk.reply());
        assert!(strange.is_err(), "{strange:?}");
    }
}

#[test]
fn swaks_by_starttls() {
    if !peers::present(&["openssl", "swaks"]) {
        return;
    }
    let site = Site::serving("protocol = \"smtp\"\ntls = \"required\"", "");
    let server = format!("127.0.0.1:{}", site.door.port());
    let output = Command::new("swaks")
        .args([
            "--server",
            &server,
            "--to",
            ANN,
            "--from",
            "s@example.net",
            "--helo",
            "c.example.net",
            "--tls",
        ])
        .output()
        .expect("swaks");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.contains("not available") || String::from_utf8_lossy(&output.stderr).contains("not available") {
        return eprintln!("skipped: this swaks has no TLS");
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(site.postroom.count(ANN, "INBOX"), 1);
    assert!(received(&site).contains("with ESMTPS"), "{}", received(&site));
}

#[test]
fn postfix_by_lmtp_within_tls() {
    if !peers::postfix() || !peers::present(&["openssl"]) {
        return;
    }
    let site = Site::serving("protocol = \"lmtp\"\ntls = \"required\"", "");
    let authority = site.certificate.authority.display();
    // The name is checked: what is in the certificate must be what Postfix connects to.
    let main = format!(
        "virtual_mailbox_domains = example.org\nvirtual_transport = lmtp:inet:[127.0.0.1]:{}\n\
         lmtp_tls_security_level = secure\nlmtp_tls_CAfile = {authority}\nlmtp_tls_secure_cert_match = localhost\n\
         lmtp_tls_loglevel = 1\n",
        site.door.port()
    );
    let postfix = Postfix::start(&site.place, &main, "tlsmgr unix - - n 1000? 1 tlsmgr\n");
    let mut client = support::lmtp::Client::smtp(postfix.smtp).expect("a session");
    let message = b"Subject: hello\r\n\r\nbody\r\n";
    let replies = client.send("s@example.net", &[ANN], message, support::lmtp::Carriage::Data);
    assert_eq!(replies.expect("a reply")[0].code, 250);
    postfix.wait_for_log(&["status=sent", "250 2.1.5"]);
    let received = received(&site);
    assert!(received.contains("with LMTPS"), "{received}");
}
