//! `postroom send`: an LMTP client that prints each reply, for trying a server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::{Config, ListenAddress, ListenProtocol};
use crate::mail::{Address, Client, DeliveryId, Protocol, ReversePath};
use crate::message::{Message, Received};
use crate::smtp::client::{ClientOptions, Dsn, Exchange, Mail, Report, StartTls, transact};
use crate::smtp::{Door, LineEnds};

use super::fault::{Fault, exit};

/// How long the server may be silent: as long as MTAs wait for the reply after the dot.
const PATIENCE: Duration = Duration::from_secs(600);

/// Hand messages to an LMTP server.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The recipients
    #[arg(long, required = true, num_args = 1.., value_name = "ADDR")]
    to: Vec<String>,
    /// The sender; empty for none
    #[arg(long, default_value = "sender@example.com", value_name = "ADDR")]
    from: String,
    /// HOST:PORT or unix:PATH [default: the first LMTP door of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// The messages, each a file; - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    let reverse_path = match arguments.from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Address(
            Address::parse(text).map_err(|error| Fault::new(exit::USAGE, format!("--from {text}: {error}")))?,
        ),
    };
    let (to, files) = tell_apart(arguments)?;
    let server = server(&config, arguments.server.as_deref())?;
    let mut code = exit::OK;
    for path in &files {
        let mut bytes = received(&config);
        bytes.extend(read(path)?);
        let report = send(&config, &server, &reverse_path, &to, bytes)?;
        code = code.max(exit_code(&report));
    }
    Ok(code)
}

// `--to ADDR... FILE...` has no mark between the last address and the first file: what
// exists, is `-` or has no @ is a file.
fn tell_apart(arguments: &Arguments) -> Result<(Vec<Address>, Vec<PathBuf>), Fault> {
    let is_file = |word: &str| word == "-" || !word.contains('@') || Path::new(word).exists();
    let first = arguments
        .to
        .iter()
        .position(|word| is_file(word))
        .unwrap_or(arguments.to.len());
    let (addresses, files) = arguments.to.split_at(first);
    let to = addresses
        .iter()
        .map(|text| Address::parse(text).map_err(|error| Fault::new(exit::USAGE, format!("--to {text}: {error}"))));
    let to = to.collect::<Result<Vec<_>, _>>()?;
    let files: Vec<PathBuf> = files
        .iter()
        .map(PathBuf::from)
        .chain(arguments.files.iter().cloned())
        .collect();
    match (to.is_empty(), files.is_empty()) {
        (true, _) => Err(Fault::new(exit::USAGE, "--to names no address")),
        (_, true) => Err(Fault::new(exit::USAGE, "no FILE to send; - is standard input")),
        _ => Ok((to, files)),
    }
}

fn send(
    config: &Config,
    server: &str,
    reverse_path: &ReversePath,
    to: &[Address],
    bytes: Vec<u8>,
) -> Result<Report, Fault> {
    let addresses = to.iter().chain(reverse_path.address());
    let mail = Mail {
        reverse_path: reverse_path.clone(),
        recipients: to.to_vec(),
        size: Some(bytes.len() as u64),
        eight_bit: !bytes.is_ascii(),
        smtputf8: !addresses.clone().all(Address::is_ascii),
        dsn: Dsn::default(),
    };
    let options = ClientOptions {
        door: Door::Lmtp,
        hostname: config.hostname.clone(),
        starttls: StartTls::Never,
        // The bytes are the file's: our own server keeps them, whatever ends its lines.
        line_ends: LineEnds::Verbatim,
    };
    let mut stream = connect(server)?;
    let mut show = |exchange: &Exchange| {
        let command = match exchange.command.as_str() {
            "" => String::new(),
            command => format!("-> {command}\n"),
        };
        let _ = super::print(&format!("{command}<- {}\n", exchange.reply));
    };
    let failed = |error: &dyn std::error::Error| Fault::new(exit::TEMPFAIL, format!("{server}: {error}"));
    transact(&mut stream, options, mail, &mut bytes.as_slice(), &mut show).map_err(|error| failed(&error))
}

fn exit_code(report: &Report) -> u8 {
    let codes = report.recipients.iter().map(|(_, reply)| match reply {
        reply if reply.is_positive() => exit::OK,
        reply if reply.is_temporary() => exit::TEMPFAIL,
        _ => exit::NOPERM,
    });
    codes.max().unwrap_or(exit::OK)
}

fn server(config: &Config, named: Option<&str>) -> Result<String, Fault> {
    if let Some(address) = named {
        return Ok(address.to_owned());
    }
    // Where a socket of systemd's is, its unit says.
    let is_known = |address: &&ListenAddress| !matches!(address, ListenAddress::Systemd(_));
    let doors = config.listen.iter();
    let lmtp = doors.filter(|door| door.protocol == ListenProtocol::Lmtp);
    match lmtp.map(|door| &door.address).find(is_known) {
        Some(ListenAddress::Unix(path)) => Ok(format!("unix:{}", path.display())),
        Some(ListenAddress::Tcp(address)) => Ok(address.to_string()),
        Some(ListenAddress::Systemd(_)) | None => Err(Fault::new(
            exit::CONFIG,
            "the configuration has no LMTP door: name one with --server",
        )),
    }
}

fn connect(server: &str) -> Result<Box<dyn Stream>, Fault> {
    let failed = |error: io::Error| {
        Fault::new(
            exit::TEMPFAIL,
            format!("cannot connect to {server}: {error}; is `postroom serve` running?"),
        )
    };
    if let Some(path) = server.strip_prefix("unix:") {
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        return Ok(Box::new(stream));
    }
    let stream = TcpStream::connect(server).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(Box::new(stream))
}

// A Received field of its own, so that sending a file twice is two messages.
fn received(config: &Config) -> Vec<u8> {
    let received = Received {
        client: Client::new("", None, Protocol::Pipe),
        hostname: config.hostname.clone(),
        id: DeliveryId::new(),
        recipient: None,
        time: SystemTime::now(),
    };
    received.to_bytes()
}

// A file with LF alone is text of this system: its lines end in CRLF on the wire. Any
// other goes as it is.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => io::stdin().lock().read_to_end(&mut bytes),
        false => fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| Fault::file(path, &error))?;
    let message = Message::from_bytes(bytes);
    let bytes = message.bytes().map_err(|error| Fault::file(path, &error))?;
    if bytes.contains(&b'\r') {
        return Ok(bytes.into_owned());
    }
    let mut crlf = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    crate::message::write_crlf(&*bytes, &mut crlf).map_err(|error| Fault::file(path, &error))?;
    Ok(crlf)
}
