//! A client of LMTP (RFC 2033) and SMTP (RFC 5321) that sends exactly the bytes it is given.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::place::PATIENCE;

/// A reply: its code and its lines joined with a line feed, codes taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

impl Reply {
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// How a message is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// DATA (RFC 5321 §4.1.1.4), with dots stuffed.
    Data,
    /// BDAT (RFC 3030) in chunks of this many bytes.
    Chunks(usize),
}

/// A session.
pub struct Client {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
    lmtp: bool,
}

impl Client {
    /// Opens an LMTP session over TCP and greets.
    pub fn lmtp(address: SocketAddr) -> io::Result<Client> {
        let mut client = Client::over_tcp(address, true)?;
        client.greet()?;
        Ok(client)
    }

    /// Opens an SMTP session and greets.
    pub fn smtp(address: SocketAddr) -> io::Result<Client> {
        let mut client = Client::over_tcp(address, false)?;
        client.greet()?;
        Ok(client)
    }

    /// Opens an LMTP session over a Unix socket and greets.
    pub fn lmtp_unix(path: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader: Box<dyn Read + Send> = Box::new(stream.try_clone()?);
        let mut client = Client {
            reader: BufReader::new(reader),
            writer: Box::new(stream),
            lmtp: true,
        };
        client.greet()?;
        Ok(client)
    }

    /// Opens a connection and says nothing; the greeting is not read.
    pub fn silent(address: SocketAddr, lmtp: bool) -> io::Result<Client> {
        Client::over_tcp(address, lmtp)
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Reads as many replies as there are, until the peer closes.
    pub fn replies_to_the_end(&mut self) -> Vec<Reply> {
        std::iter::from_fn(|| self.reply().ok()).collect()
    }

    fn over_tcp(address: SocketAddr, lmtp: bool) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader: Box<dyn Read + Send> = Box::new(stream.try_clone()?);
        Ok(Client {
            reader: BufReader::new(reader),
            writer: Box::new(stream),
            lmtp,
        })
    }

    fn greet(&mut self) -> io::Result<()> {
        let greeting = self.reply()?;
        let hello = self.command(if self.lmtp {
            "LHLO client.example.net"
        } else {
            "EHLO client.example.net"
        })?;
        for reply in [greeting, hello] {
            if !reply.is_positive() {
                return Err(io::Error::other(format!("not welcome: {reply:?}")));
            }
        }
        Ok(())
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.writer.write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Reads one reply of any number of lines (RFC 5321 §4.2.1).
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| io::Error::other(format!("not a reply: {line}")))?;
            text.push_str(line.get(4..).unwrap_or_default());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text });
            }
            text.push('\n');
        }
    }

    /// Sends one message and returns the replies to its end: under LMTP one for each recipient that was accepted.
    /// A refusal before that is returned alone.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8], carriage: Carriage) -> io::Result<Vec<Reply>> {
        let body = if let Carriage::Chunks(_) = carriage {
            " BODY=8BITMIME"
        } else {
            ""
        };
        let reply = self.command(&format!("MAIL FROM:<{from}>{body}"))?;
        if !reply.is_positive() {
            return Ok(vec![reply]);
        }
        let mut accepted = 0;
        let mut refused = Vec::new();
        for recipient in to {
            let reply = self.command(&format!("RCPT TO:<{recipient}>"))?;
            if reply.is_positive() {
                accepted += 1
            } else {
                refused.push(reply)
            }
        }
        if accepted == 0 {
            self.command("RSET")?;
            return Ok(refused);
        }
        let early = match carriage {
            Carriage::Data => self.data(message)?,
            Carriage::Chunks(size) => self.chunks(message, size)?,
        };
        if let Some(reply) = early {
            return Ok(vec![reply]);
        }
        (0..if self.lmtp { accepted } else { 1 })
            .map(|_| self.reply())
            .collect()
    }

    fn data(&mut self, message: &[u8]) -> io::Result<Option<Reply>> {
        let reply = self.command("DATA")?;
        if reply.code != 354 {
            return Ok(Some(reply));
        }
        self.writer.write_all(&stuffed(message))?;
        Ok(None)
    }

    // Every chunk but the last has one reply of its own (RFC 3030 §2).
    fn chunks(&mut self, message: &[u8], size: usize) -> io::Result<Option<Reply>> {
        let (head, last) = message.split_at(message.len().saturating_sub(1) / size * size);
        for chunk in head.chunks(size) {
            self.writer.write_all(format!("BDAT {}\r\n", chunk.len()).as_bytes())?;
            self.writer.write_all(chunk)?;
            let reply = self.reply()?;
            if !reply.is_positive() {
                return Ok(Some(reply));
            }
        }
        self.writer
            .write_all(format!("BDAT {} LAST\r\n", last.len()).as_bytes())?;
        self.writer.write_all(last)?;
        Ok(None)
    }
}

/// A message as DATA carries it: dots stuffed (RFC 5321 §4.5.2), ended by a line with a dot. An unfinished last
/// line is finished, since DATA has no other way.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 64);
    for line in lines(message) {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.is_empty() && !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Lines with their CRLF; a lone CR or LF ends none.
fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let end = rest
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .map_or(rest.len(), |at| at + 2);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}
