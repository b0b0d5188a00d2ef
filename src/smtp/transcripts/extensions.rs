//! Dialogues with what goes beyond RFC 5321 and RFC 2033: BINARYMIME, DSN, PRDR, STARTTLS, XCLIENT and XFORWARD.

use super::{House, check, options, play, script};
use crate::mail::{Cause, Deferral, DeliveryId, Envelope, Outcome, Placement, Refusal, Tls};
use crate::smtp::{Door, Options};

/// The TLS of these dialogues.
pub(super) fn tls() -> Tls {
    Tls {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        peer: None,
    }
}

/// What an envelope has beyond addresses, if anything.
pub(super) fn seen(envelope: &Envelope) -> Vec<String> {
    let mut lines = Vec::new();
    if envelope.dsn.ret.is_some() || envelope.dsn.envid.is_some() {
        let ret = envelope.dsn.ret.map_or("-", |ret| ret.as_str());
        lines.push(format!("== dsn {ret} {}", envelope.dsn.envid.as_deref().unwrap_or("-")));
    }
    for recipient in envelope.recipients.iter().filter(|it| it.dsn != Default::default()) {
        let notify = recipient.dsn.notify.map_or("-".to_owned(), |notify| notify.to_string());
        let original = recipient.original.as_ref().map_or("-".to_owned(), ToString::to_string);
        lines.push(format!("== dsn {} {notify} {original}", recipient.address));
    }
    let forwarded = &envelope.client.forwarded;
    if *forwarded != Default::default() {
        let text = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
        let address = forwarded.address.map_or("-".to_owned(), |address| address.to_string());
        let (name, helo, id) = (text(&forwarded.name), text(&forwarded.helo), text(&forwarded.queue_id));
        lines.push(format!("== for {name} {address} {helo} {id}"));
    }
    if let Some(address) = envelope.client.address {
        lines.push(format!("== from {} {address}", envelope.client.helo));
    }
    lines
}

/// What becomes of a message for this recipient.
pub(super) fn outcome(address: &str) -> Outcome {
    match address {
        "bob@example.org" => Outcome::Refused(Refusal::OverQuota),
        "busy@example.org" => Outcome::Deferred(Deferral::Trouble(Cause::new("busy"))),
        _ => Outcome::Delivered {
            id: DeliveryId::from_stored("01ABC").unwrap(),
            placements: Vec::<Placement>::new(),
            redirected: Vec::new(),
            again: false,
        },
    }
}

const DIALOGUES: &[(Door, &str)] = &[
    // Lines have no end in it that DATA could know (RFC 3030 §3).
    (
        Door::Lmtp,
        "<- 220
         -> LHLO mta
         <+ DSN
         -> MAIL FROM:<ann@example.com> BODY=BINARYMIME
         <- 250
         -> RCPT TO:<ann@example.org>
         <- 250
         -> DATA
         <- 503 5.5.1 BINARYMIME
         -> BDAT 9 LAST
         == start
         => a\\rb\\nc\\0\\r\\n.
         == message \"a\\rb\\nc\\x00\\r\\n.\" ann@example.com ann@example.org LMTP
         <- 250",
    ),
    (
        Door::Lmtp,
        "<- 220
         -> LHLO mta
         <+ DSN
         -> MAIL FROM:<ann@example.com> RET=HDRS ENVID=QQ+2B1
         <- 250
         -> RCPT TO:<ann@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;info@example.org
         <- 250
         -> RCPT TO:<bob@example.org> NOTIFY=SOMETIMES
         <- 501 5.5.4
         -> RCPT TO:<cy@example.org> NOTIFY=NEVER
         <- 250
         -> DATA
         == start
         <- 354
         -> .
         == message \"\" ann@example.com ann@example.org,cy@example.org LMTP
         == dsn HDRS QQ+1
         == dsn ann@example.org SUCCESS,FAILURE info@example.org
         == dsn cy@example.org NEVER -
         <- 250
         <- 250",
    ),
    // A reply for each where they differ, and one where they do not.
    (
        Door::Smtp,
        "<- 220
         -> EHLO mta
         <+ DSN, PRDR
         -> MAIL FROM:<ann@example.com> PRDR
         <- 250
         -> RCPT TO:<ann@example.org>
         <- 250
         -> RCPT TO:<bob@example.org>
         <- 250
         -> RCPT TO:<busy@example.org>
         <- 250
         -> DATA
         == start
         <- 354
         -> .
         == message \"\" ann@example.com ann@example.org,bob@example.org,busy@example.org ESMTP
         <- 353
         <- 250 2.1.5
         <- 552 5.2.2
         <- 451 4.3.0
         <- 250 2.0.0
         -> MAIL FROM:<ann@example.com> PRDR
         <- 250
         -> RCPT TO:<ann@example.org>
         <- 250
         -> RCPT TO:<cy@example.org>
         <- 250
         -> DATA
         == start
         <- 354
         -> .
         == message \"\" ann@example.com ann@example.org,cy@example.org ESMTP
         <- 250 2.1.5",
    ),
    // Nobody reads over for ever what is no message.
    (
        Door::Lmtp,
        "<- 220
         -> BDAT 60
         => 012345678901234567890123456789012345678901234567890123456789
         <- 503 5.5.1
         ->
         <- 500 5.5.1
         -> BDAT 18446744073709551615
         <- 503 5.5.1
         == close",
    ),
    // A stranger may not speak for others, and nobody begins TLS where it is not offered.
    (
        Door::Lmtp,
        "<- 220
         -> XFORWARD NAME=x
         <- 550 5.7.0
         -> XCLIENT ADDR=192.0.2.1
         <- 550 5.7.0
         -> STARTTLS
         <- 502 5.5.1",
    ),
];

const TRUSTED: &str = "<- 220
     -> LHLO mta
     <+ DSN, XCLIENT NAME ADDR PORT PROTO HELO, XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE
     -> XFORWARD NAME=client.example.com ADDR=192.0.2.9
     <- 250 2.0.0
     -> XFORWARD HELO=client IDENT=4bXyZ PROTO=ESMTP
     <- 250 2.0.0
     -> XFORWARD LOGIN=x
     <- 501 5.5.4
     -> MAIL FROM:<>
     <- 250
     -> XFORWARD NAME=x
     <- 503 5.5.1
     -> RCPT TO:<ann@example.org>
     <- 250
     -> DATA
     == start
     <- 354
     -> .
     == message \"\"  ann@example.org LMTP
     == for client.example.com 192.0.2.9 client 4bXyZ
     <- 250
     -> XCLIENT ADDR=IPv6:2001:db8::9
     <- 220 localhost LMTP
     -> MAIL FROM:<>
     <- 503 5.5.1
     -> LHLO other
     <+ DSN, XCLIENT, XFORWARD
     -> MAIL FROM:<>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> DATA
     == start
     <- 354
     -> .
     == message \"\"  ann@example.org LMTP
     == from other 2001:db8::9
     <- 250";

#[test]
fn extensions() {
    for (door, transcript) in DIALOGUES {
        play(&options(*door), transcript);
    }
}

/// Line by line, or a step may drop what stands behind it.
fn converse(house: &mut House, transcript: &str) {
    for (bytes, expected) in script(transcript) {
        house.feed(&bytes);
        check(transcript, &std::mem::take(&mut house.log), &expected);
    }
}

#[test]
fn a_trusted_peer_speaks_for_others() {
    let mut house = House::new(Options {
        commands_without_mail: 30,
        ..options(Door::Lmtp)
    });
    house.session.trust_peer();
    converse(&mut house, TRUSTED);
}

#[test]
fn tls_begins_anew_and_drops_what_stood_behind_it() {
    let mut house = House::new(Options {
        starttls: true,
        require_tls: true,
        errors: 10,
        ..options(Door::Lmtp)
    });
    converse(
        &mut house,
        "<- 220
             -> LHLO mta
             <+ DSN, STARTTLS
             -> MAIL FROM:<ann@example.com>
             <- 530 5.7.0
             -> BDAT 4
             => NOOP
             <- 503
             -> NOOP
             <- 250
             => STARTTLS\\r\\nMAIL FROM:<evil@example.com>\\r\\nQUIT\\r\\n
             <- 220 2.0.0
             == tls
             -> MAIL FROM:<ann@example.com>
             <- 503 5.5.1
             -> LHLO mta
             <+ DSN
             -> STARTTLS
             <- 503 5.5.1
             -> MAIL FROM:<ann@example.com>
             <- 250
             -> RCPT TO:<ann@example.org>
             <- 250
             -> DATA
             == start
             <- 354
             -> .
             == message \"\" ann@example.com ann@example.org LMTPS
             <- 250",
    );
}

#[test]
fn tls_is_not_for_the_middle_of_a_message() {
    let mut house = House::new(Options {
        starttls: true,
        ..options(Door::Smtp)
    });
    converse(
        &mut house,
        "<- 220
         -> HELO mta
         <- 250 localhost
         -> MAIL FROM:<ann@example.com>
         <- 250
         -> STARTTLS
         <- 503 5.5.1",
    );
}
