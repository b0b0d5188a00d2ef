//! What the server asks an agent, and what it is answered: JSON for each of them.
//!
//! The message does not come this way: it is a file that is handed over with the request.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::mail::{
    Address, Cause, Client, Deferral, DeliveryId, Envelope, Forwarded, MailboxName, MessageDsn, Notify, Outcome,
    Placement, Protocol, Recipient, RecipientDsn, Refusal, Ret, ReversePath, Tls, Uid,
};

/// How long a request or an answer may be, in bytes: far more than a command line of SMTP holds, or the name of all
/// mailboxes into which a filter may put one message.
pub(super) const LIMIT: usize = 4 << 20;

/// What an agent is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// Whether mail may come.
    Resolve {
        address: Address,
        reverse_path: ReversePath,
        size: u64,
    },
    /// To deliver the message that comes with it, to the one recipient of the envelope.
    Deliver {
        id: DeliveryId,
        envelope: Box<Envelope>,
        received: SystemTime,
    },
}

impl Request {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Request::Resolve {
                address,
                reverse_path,
                size,
            } => json!({"resolve": address.to_string(), "from": reverse_path.to_string(), "size": size}),
            Request::Deliver { id, envelope, received } => {
                let since = received.duration_since(UNIX_EPOCH).unwrap_or_default();
                json!({
                    "deliver": id.as_str(),
                    "envelope": envelope_to_json(envelope),
                    "seconds": since.as_secs(),
                    "nanoseconds": since.subsec_nanos(),
                })
            }
        }
    }

    /// None where it is no request.
    pub(super) fn from_json(value: &Value) -> Option<Request> {
        if let Some(id) = value["deliver"].as_str() {
            let nanoseconds = u32::try_from(value["nanoseconds"].as_u64()?).ok()?;
            let since = Duration::from_secs(value["seconds"].as_u64()?)
                .checked_add(Duration::from_nanos(nanoseconds.into()))?;
            return Some(Request::Deliver {
                id: DeliveryId::from_stored(id)?,
                envelope: Box::new(envelope_from_json(&value["envelope"])?),
                received: UNIX_EPOCH.checked_add(since)?,
            });
        }
        Some(Request::Resolve {
            address: address(&value["resolve"])?,
            reverse_path: reverse_path(&value["from"])?,
            size: value["size"].as_u64()?,
        })
    }
}

// An agent serves one account: the others are none of its business.
fn envelope_to_json(envelope: &Envelope) -> Value {
    let recipient = envelope.recipients.first();
    let client = &envelope.client;
    json!({
        "from": envelope.reverse_path.to_string(),
        "to": recipient.map(|recipient| recipient.address.to_string()),
        "original": recipient.and_then(|recipient| recipient.original.as_ref()).map(Address::to_string),
        "notify": recipient.and_then(|recipient| recipient.dsn.notify).map(|notify| notify.to_string()),
        "orcpt": recipient.and_then(|recipient| recipient.dsn.orcpt.as_ref()),
        "others": envelope.others,
        "smtputf8": envelope.smtputf8,
        "ret": envelope.dsn.ret.map(Ret::as_str),
        "envid": envelope.dsn.envid,
        "prdr": envelope.prdr,
        "helo": client.helo,
        "address": client.address,
        "protocol": client.protocol.to_string(),
        "tls": client.tls.as_ref().map(|tls| json!([tls.version, tls.cipher, tls.peer])),
        "forwarded": [
            json!(client.forwarded.name),
            json!(client.forwarded.address),
            json!(client.forwarded.helo),
            json!(client.forwarded.queue_id),
        ],
    })
}

fn envelope_from_json(value: &Value) -> Option<Envelope> {
    let forwarded = value["forwarded"].as_array()?;
    let [name, from_address, helo, queue_id] = forwarded.as_slice() else {
        return None;
    };
    let recipient = Recipient {
        address: address(&value["to"])?,
        original: optional(&value["original"], address)?,
        dsn: RecipientDsn {
            notify: optional(&value["notify"], |value| Notify::parse(value.as_str()?))?,
            orcpt: optional(&value["orcpt"], text)?,
        },
    };
    Some(Envelope {
        reverse_path: reverse_path(&value["from"])?,
        recipients: vec![recipient],
        others: number(&value["others"])?,
        smtputf8: value["smtputf8"].as_bool()?,
        dsn: MessageDsn {
            ret: optional(&value["ret"], |value| Ret::parse(value.as_str()?))?,
            envid: optional(&value["envid"], text)?,
        },
        prdr: value["prdr"].as_bool()?,
        client: Client {
            helo: text(&value["helo"])?,
            address: optional(&value["address"], ip_address)?,
            protocol: Protocol::named(value["protocol"].as_str()?)?,
            tls: optional(&value["tls"], tls)?,
            forwarded: Forwarded {
                name: optional(name, text)?,
                address: optional(from_address, ip_address)?,
                helo: optional(helo, text)?,
                queue_id: optional(queue_id, text)?,
            },
        },
    })
}

/// An outcome in words.
pub(super) fn outcome_to_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Delivered {
            id,
            placements,
            redirected,
            again,
        } => {
            let placed = |placement: &Placement| json!([placement.mailbox.as_str(), placement.uid.map(Uid::value)]);
            let placements: Vec<Value> = placements.iter().map(placed).collect();
            json!({"delivered": id.as_str(), "placements": placements, "redirected": redirected, "again": again})
        }
        Outcome::Refused(Refusal::UnknownUser) => json!({"refused": "unknown"}),
        Outcome::Refused(Refusal::OverQuota) => json!({"refused": "quota"}),
        Outcome::Refused(Refusal::TooLarge(limit)) => json!({"refused": "size", "limit": limit}),
        Outcome::Refused(Refusal::Rejected(reason)) => json!({"refused": "rejected", "reason": reason}),
        Outcome::Refused(Refusal::Loop) => json!({"refused": "loop"}),
        Outcome::Deferred(Deferral::OverQuota) => json!({"deferred": "quota"}),
        Outcome::Deferred(Deferral::DiskFull(cause)) => json!({"deferred": "disk", "cause": cause.to_string()}),
        Outcome::Deferred(Deferral::Trouble(cause)) => json!({"deferred": "trouble", "cause": cause.to_string()}),
    }
}

/// What [`outcome_to_json`] wrote; none where it is something else.
pub(super) fn outcome_from_json(value: &Value) -> Option<Outcome> {
    if let Some(id) = value["delivered"].as_str() {
        return Some(Outcome::Delivered {
            id: DeliveryId::from_stored(id)?,
            placements: list(&value["placements"], placement)?,
            redirected: list(&value["redirected"], text)?,
            again: value["again"].as_bool()?,
        });
    }
    if let Some(refused) = value["refused"].as_str() {
        return Some(Outcome::Refused(match refused {
            "unknown" => Refusal::UnknownUser,
            "quota" => Refusal::OverQuota,
            "size" => Refusal::TooLarge(value["limit"].as_u64()?),
            "rejected" => Refusal::Rejected(text(&value["reason"])?),
            "loop" => Refusal::Loop,
            _ => return None,
        }));
    }
    let cause = || text(&value["cause"]).map(Cause::new);
    Some(Outcome::Deferred(match value["deferred"].as_str()? {
        "quota" => Deferral::OverQuota,
        "disk" => Deferral::DiskFull(cause()?),
        "trouble" => Deferral::Trouble(cause()?),
        _ => return None,
    }))
}

fn placement(value: &Value) -> Option<Placement> {
    let [mailbox, uid] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Placement {
        mailbox: MailboxName::parse(mailbox.as_str()?, '.').ok()?,
        uid: optional(uid, |uid| Uid::new(u32::try_from(uid.as_u64()?).ok()?))?,
    })
}

fn tls(value: &Value) -> Option<Tls> {
    let [version, cipher, peer] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Tls {
        version: text(version)?,
        cipher: text(cipher)?,
        peer: optional(peer, text)?,
    })
}

fn address(value: &Value) -> Option<Address> {
    Address::parse(value.as_str()?).ok()
}

fn reverse_path(value: &Value) -> Option<ReversePath> {
    match value.as_str()? {
        "" => Some(ReversePath::Null),
        _ => address(value).map(ReversePath::Address),
    }
}

fn ip_address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(read).collect()
}

// What is there must be in order.
fn optional<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        value => read(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Address {
        Address::parse(address).unwrap()
    }

    fn full() -> Envelope {
        Envelope {
            reverse_path: ReversePath::Address(parse("\"a \\\" b\"@exämple.org")),
            recipients: vec![Recipient {
                address: parse("ann+\u{e9}@example.org"),
                original: Some(parse("all@example.org")),
                dsn: RecipientDsn {
                    notify: Notify::parse("SUCCESS,DELAY"),
                    orcpt: Some("rfc822;all@example.org\u{1}".to_owned()),
                },
            }],
            others: 3,
            smtputf8: true,
            dsn: MessageDsn {
                ret: Some(Ret::Hdrs),
                envid: Some("an \"id\"".to_owned()),
            },
            prdr: true,
            client: Client {
                helo: "[192.0.2.1]".to_owned(),
                address: Some("2001:db8::1".parse().unwrap()),
                protocol: Protocol::Utf8Lmtps,
                tls: Some(Tls {
                    version: "TLSv1.3".to_owned(),
                    cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                    peer: Some("CN=mx".to_owned()),
                }),
                forwarded: Forwarded {
                    name: Some("host.example.net".to_owned()),
                    address: Some("192.0.2.7".parse().unwrap()),
                    helo: Some("helo".to_owned()),
                    queue_id: Some("4ABC".to_owned()),
                },
            },
        }
    }

    fn bare() -> Envelope {
        Envelope {
            reverse_path: ReversePath::Null,
            recipients: vec![Recipient::new(parse("ann"))],
            others: 0,
            smtputf8: false,
            dsn: MessageDsn::default(),
            prdr: false,
            client: Client::new("", None, Protocol::Lmtp),
        }
    }

    fn delivery(envelope: Envelope) -> Request {
        Request::Deliver {
            id: DeliveryId::new(),
            envelope: Box::new(envelope),
            received: UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789),
        }
    }

    #[test]
    fn requests_arrive_as_they_were_made() {
        let resolve = Request::Resolve {
            address: parse("\"a@b\"@example.org"),
            reverse_path: ReversePath::Null,
            size: u64::MAX,
        };
        for request in [delivery(full()), delivery(bare()), resolve] {
            let text = request.to_json().to_string();
            let value = serde_json::from_str(&text).unwrap();
            assert_eq!(Request::from_json(&value), Some(request), "{text}");
        }
    }

    #[test]
    fn all_ways_have_a_name() {
        for protocol in [Protocol::Smtp, Protocol::Esmtps, Protocol::Utf8Smtps, Protocol::Pipe] {
            assert_eq!(Protocol::named(&protocol.to_string()), Some(protocol));
        }
        assert_eq!(Protocol::named("QMTP"), None);
    }

    #[test]
    fn outcomes_arrive_as_they_were_given() {
        let placed = |mailbox: &str, uid| Placement {
            mailbox: MailboxName::parse(mailbox, '.').unwrap(),
            uid,
        };
        let cause = || Cause::new("a \"cause\"");
        for outcome in [
            Outcome::Delivered {
                id: DeliveryId::new(),
                placements: vec![placed("INBOX", Uid::new(7)), placed("Lists.a b", None)],
                redirected: vec!["a@example.net".to_owned()],
                again: true,
            },
            Outcome::Refused(Refusal::UnknownUser),
            Outcome::Refused(Refusal::OverQuota),
            Outcome::Refused(Refusal::TooLarge(5)),
            Outcome::Refused(Refusal::Rejected("no\r\nmore".to_owned())),
            Outcome::Refused(Refusal::Loop),
            Outcome::Deferred(Deferral::OverQuota),
            Outcome::Deferred(Deferral::DiskFull(cause())),
            Outcome::Deferred(Deferral::Trouble(cause())),
        ] {
            let value = serde_json::from_str(&outcome_to_json(&outcome).to_string()).unwrap();
            let heard = outcome_from_json(&value).unwrap();
            assert_eq!(format!("{heard:?}"), format!("{outcome:?}"));
        }
    }

    #[test]
    fn what_is_in_disorder_is_nothing() {
        for value in [
            json!(null),
            json!([]),
            json!({"deliver": "../x"}),
            json!({"resolve": "a@", "from": "", "size": 1}),
            json!({"resolve": "a", "from": "", "size": -1}),
        ] {
            assert_eq!(Request::from_json(&value), None, "{value}");
            assert!(outcome_from_json(&value).is_none(), "{value}");
        }
        for (key, wrong) in [
            ("to", json!("a b")),
            ("from", json!(null)),
            ("notify", json!("SOMETIMES")),
            ("protocol", json!("QMTP")),
            ("forwarded", json!([])),
            ("tls", json!(["TLSv1.3"])),
            ("others", json!(-1)),
            ("address", json!("localhost")),
        ] {
            let mut value = delivery(full()).to_json();
            value["envelope"][key] = wrong;
            assert_eq!(Request::from_json(&value), None, "{key}");
        }
        for value in [
            json!({"delivered": "ABC", "placements": [["a/b", 1]], "redirected": [], "again": false}),
            json!({"delivered": "ABC", "placements": [["a", 0]], "redirected": [], "again": false}),
            json!({"refused": "rejected"}),
            json!({"deferred": "trouble"}),
        ] {
            assert!(outcome_from_json(&value).is_none(), "{value}");
        }
    }
}
