//! Any text as an address, as a path in MAIL and RCPT, and as the xtext of DSN: what is taken comes out again as it was.

#![no_main]

use std::io::{self, Read, Write};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use postroom::mail::{Address, Envelope, RecipientDsn, ReversePath};
use postroom::smtp::client::{ClientOptions, Dsn, Mail, StartTls, orcpt, transact};
use postroom::smtp::{Door, LineEnds, Options, Reply, Session, Step};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = Address::parse(text) {
        is_printed(&address);
        is_a_path(&address);
        is_handed_on(&address);
    }
    any_path(text);
    any_xtext(text);
});

fn is_printed(address: &Address) {
    let text = address.to_string();
    assert_eq!(Address::parse(&text).as_ref(), Ok(address));
    assert!(!text.contains(char::is_control) && text.len() <= 2 * 255 + 3 + 255);
    assert_eq!(address.with_local(address.local()).as_ref(), Ok(address));
    assert!(address.same_mailbox(address));
}

/// RFC 5321 §4.1.2: whatever is an address can stand between angle brackets, behind a route too.
fn is_a_path(address: &Address) {
    for path in [format!("<{address}>"), format!("<@a.example,@[IPv6:::1]:{address}>")] {
        let said = says(&format!("MAIL FROM:{path} SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:{path}\r\n"));
        assert_eq!(said.codes, [250, 250, 250], "{path}");
        assert_eq!(said.sender.as_ref(), Some(&ReversePath::Address(address.clone())));
        assert_eq!(said.recipients, [(address.clone(), None)]);
    }
}

/// Our client says it to our server, with itself as the original recipient (RFC 3461 §4.2).
fn is_handed_on(address: &Address) {
    let mail = Mail {
        reverse_path: ReversePath::Address(address.clone()),
        recipients: vec![address.clone()],
        size: None,
        eight_bit: false,
        smtputf8: false,
        dsn: Dsn {
            recipient: RecipientDsn {
                notify: None,
                orcpt: Some(orcpt(address)),
            },
            ..Dsn::default()
        },
    };
    let options = ClientOptions {
        door: Door::Lmtp,
        hostname: "a".to_owned(),
        starttls: StartTls::Never,
        line_ends: LineEnds::Crlf,
    };
    let mut wire = Wire::new();
    let handed = transact(&mut wire, options, mail, &mut &b"a\n"[..], &mut |_| ());
    let report = handed.unwrap_or_else(|error| panic!("{address}: {error}"));
    let envelope = wire.envelope.expect("a message");
    assert!(report.recipients.iter().all(|(_, reply)| reply.is_positive()));
    assert_eq!(envelope.reverse_path, ReversePath::Address(address.clone()));
    assert_eq!(envelope.recipients[0].address, *address);
    // Left out where it would be longer than 500 characters.
    if envelope.recipients[0].dsn.orcpt.is_some() || address.to_string().chars().count() < 50 {
        assert_eq!(envelope.recipients[0].dsn.orcpt, Some(orcpt(address)));
        assert_eq!(envelope.recipients[0].original.as_ref(), Some(address));
    }
}

/// What is taken as a path is what stands between its brackets.
fn any_path(text: &str) {
    let said = says(&format!("MAIL FROM:<{text}> SMTPUTF8\r\n"));
    let Some(ReversePath::Address(address)) = &said.sender else { return };
    let printed = address.to_string();
    let parsed = |text: &str| Address::parse(text).as_ref() == Ok(address);
    // The text itself, behind a route, or up to a bracket with parameters behind.
    let ends = text.match_indices('>').map(|(at, _)| at).chain([text.len()]);
    let starts: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).chain([0]).collect();
    let found = ends.into_iter().any(|end| {
        let within = |start: &&usize| **start <= end && text.is_char_boundary(**start);
        starts.iter().filter(within).any(|start| parsed(&text[*start..end]))
    });
    assert!(found, "{text:?} became {printed}");
}

/// ENVID and ORCPT: what is taken has nothing in it that could not be written again.
fn any_xtext(text: &str) {
    let said = says(&format!(
        "MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=rfc822;{text}\r\nRCPT TO:<a@b> ORCPT=utf-8;{text}\r\n"
    ));
    for (_, orcpt) in said.recipients {
        let Some(orcpt) = orcpt else { continue };
        assert!(!orcpt.contains(char::is_control), "{orcpt:?}");
        let (_, address) = orcpt.split_once(';').expect("a type");
        let octets: String = address.bytes().map(|byte| format!("+{byte:02X}")).collect();
        let again = says(&format!("MAIL FROM:<>\r\nRCPT TO:<a@b> ORCPT=rfc822;{octets}\r\n"));
        if octets.len() + 7 <= 500 {
            assert_eq!(again.recipients[0].1, Some(format!("rfc822;{address}")));
        }
    }
}

#[derive(Default)]
struct Said {
    codes: Vec<u16>,
    sender: Option<ReversePath>,
    recipients: Vec<(Address, Option<String>)>,
}

/// What a session makes of these lines, after LHLO.
fn says(lines: &str) -> Said {
    let mut session = Session::new(Arc::new(Options::default()), None);
    let mut buffer = format!("LHLO a\r\n{lines}").into_bytes();
    let mut said = Said::default();
    loop {
        let (consumed, step) = session.next(&buffer);
        match step {
            Step::Reply(reply) => said.codes.push(reply.code()),
            Step::Recipient(recipient) => {
                said.recipients.push((recipient.address, recipient.dsn.orcpt));
                session.recipient_accepted();
            }
            _ => {
                said.sender = session.reverse_path().cloned();
                return said;
            }
        }
        buffer.drain(..consumed);
    }
}

/// A connection to a server in memory that takes everything.
struct Wire {
    session: Session,
    heard: Vec<u8>,
    replies: Vec<u8>,
    envelope: Option<Envelope>,
}

impl Wire {
    fn new() -> Wire {
        let session = Session::new(Arc::new(Options::default()), None);
        let replies = session.greeting().to_bytes();
        Wire {
            session,
            heard: Vec::new(),
            replies,
            envelope: None,
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.extend_from_slice(bytes);
        loop {
            let (consumed, step) = self.session.next(&self.heard);
            match step {
                Step::Reply(reply) => self.replies.extend(reply.to_bytes()),
                Step::Recipient(_) => self.session.recipient_accepted(),
                Step::MessageEnd(envelope) => {
                    for _ in &envelope.recipients {
                        self.replies.extend(Reply::new(250, (2, 1, 5), "OK").to_bytes());
                    }
                    self.envelope = Some(*envelope);
                }
                Step::NeedMore => {
                    self.heard.drain(..consumed);
                    return Ok(bytes.len());
                }
                Step::Close(reply) => {
                    self.replies.extend(reply.to_bytes());
                    return Ok(bytes.len());
                }
                _ => {}
            }
            self.heard.drain(..consumed);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.replies.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.replies[..length]);
        self.replies.drain(..length);
        Ok(length)
    }
}
