//! Carries out a client's actions over a stream that blocks.

use std::io::{Read, Write};

use super::super::DotEncoder;
use super::{Action, Client, ClientError, ClientOptions, Exchange, Mail, Report};

/// Bytes of the message encoded before they are written.
const PIECE: usize = 65_536;

/// Why [`drive`] came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Wrap the stream in TLS, call [`Client::tls_started`], and drive on over the new stream.
    StartTls,
    /// All is said.
    Done(Report),
}

/// Speaks for `client` over `stream` until TLS begins or all is said.
///
/// `message` is read once, to its end. `observe` sees every exchange as it comes. How
/// long to wait is the stream's matter: set its timeouts before.
///
/// # Errors
/// [`ClientError`]; the stream is of no more use.
pub fn drive(
    stream: &mut (impl Read + Write),
    client: &mut Client,
    message: &mut impl Read,
    observe: &mut dyn FnMut(&Exchange),
) -> Result<Pause, ClientError> {
    let (mut input, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let (consumed, action) = client.next(&input)?;
        input.drain(..consumed);
        match action {
            Action::Read => {
                stream.flush()?;
                let length = read(stream, &mut piece)?;
                if length == 0 {
                    return client.closed().map(Pause::Done);
                }
                input.extend_from_slice(&piece[..length]);
            }
            Action::Write(bytes) => stream.write_all(&bytes)?,
            Action::Said(exchange) => observe(&exchange),
            Action::StartTls => return Ok(Pause::StartTls),
            Action::Content => {
                send_content(stream, DotEncoder::new(client.options.line_ends), message)?;
                client.content_sent();
            }
            Action::Done(report) => return Ok(Pause::Done(report)),
        }
    }
}

/// Hands over one message over a stream on which TLS need not begin.
///
/// # Errors
/// [`ClientError`]; [`ClientError::TlsMissing`] where the options ask for STARTTLS.
pub fn transact(
    stream: &mut (impl Read + Write),
    options: ClientOptions,
    mail: Mail,
    message: &mut impl Read,
    observe: &mut dyn FnMut(&Exchange),
) -> Result<Report, ClientError> {
    match drive(stream, &mut Client::new(options, mail), message, observe)? {
        Pause::Done(report) => Ok(report),
        Pause::StartTls => Err(ClientError::TlsMissing),
    }
}

fn send_content(stream: &mut impl Write, mut encoder: DotEncoder, message: &mut impl Read) -> Result<(), ClientError> {
    let (mut piece, mut encoded) = (vec![0; PIECE], Vec::with_capacity(PIECE + PIECE / 8));
    loop {
        let length = read(message, &mut piece).map_err(ClientError::Message)?;
        if length == 0 {
            break;
        }
        encoded.clear();
        encoder.encode(&piece[..length], &mut encoded);
        stream.write_all(&encoded)?;
    }
    encoded.clear();
    encoder.finish(&mut encoded);
    stream.write_all(&encoded)?;
    Ok(())
}

fn read(reader: &mut impl Read, piece: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match reader.read(piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
