//! What a sender hears who asked for it (RFC 3461): of deliveries, refusals and redirects, and through a real Postfix.

mod support;

use support::lmtp::{Client, Reply};
use support::peers::{present, root};
use support::place::Place;
use support::postfix::Postfix;
use support::postroom::{Postroom, Wishes};
use support::relay::Relay;

const MESSAGE: &[u8] = b"Subject: told\r\nMessage-ID: <told@example.net>\r\n\r\nthe body\r\n.\r\n";

fn site(place: &Place, relay: &Relay, script: &str) -> Postroom {
    let mut postroom = Postroom::configured(
        place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", script);
    postroom.serve();
    postroom
}

/// Sends the message with these commands; answers the replies to its end.
fn send(client: &mut Client, mail: &str, recipients: &[&str], replies: usize) -> Vec<Reply> {
    for command in [mail].iter().chain(recipients).chain(&["DATA"]) {
        let reply = client.command(command).expect("a reply");
        assert!(reply.is_positive(), "{command}: {reply:?}");
    }
    client.write(MESSAGE).expect("sent");
    (0..replies).map(|_| client.reply().expect("a reply")).collect()
}

#[test]
fn a_delivery_is_told_once_and_only_to_who_asked() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "keep;\n");
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let to = "RCPT TO:<ann@example.org> NOTIFY=SUCCESS ORCPT=rfc822;info+2Bx@example.org";
    let quiet = [
        ("MAIL FROM:<s@example.net>", "RCPT TO:<ann@example.org>"),
        (
            "MAIL FROM:<t@example.net>",
            "RCPT TO:<ann@example.org> NOTIFY=FAILURE,DELAY",
        ),
        ("MAIL FROM:<u@example.net>", "RCPT TO:<ann@example.org> NOTIFY=NEVER"),
        ("MAIL FROM:<>", to),
    ];
    for (mail, rcpt) in quiet {
        assert_eq!(send(&mut client, mail, &[rcpt], 1)[0].code, 250, "{mail}");
    }
    // The second time nothing is delivered, and nothing is told.
    for _ in 0..2 {
        let mail = "MAIL FROM:<v@example.net> RET=FULL ENVID=QQ+2B1";
        assert_eq!(send(&mut client, mail, &[to], 1)[0].code, 250);
    }
    assert_eq!(postroom.count("ann@example.org", "INBOX"), 5);
    let told = relay.awaited();
    assert_eq!((told.from.as_str(), told.to), ("", vec!["v@example.net".to_owned()]));
    for line in [
        "Subject: Your message was delivered",
        "Original-Envelope-Id: QQ+1",
        "Original-Recipient: rfc822; info+x@example.org",
        "Final-Recipient: rfc822; ann@example.org",
        "Action: delivered",
        "Status: 2.1.5",
        "Message-ID: <told@example.net>",
    ] {
        assert!(told.text.lines().any(|found| found == line), "{line}: {}", told.text);
    }
    assert!(!told.text.contains("the body"), "{}", told.text);
    let texts = postroom.texts("ann@example.org", "INBOX");
    assert!(
        texts
            .last()
            .is_some_and(|text| text.contains("\nX-Original-To: info+x@example.org\n")),
        "{texts:?}"
    );
    drop(postroom);
    assert_eq!(relay.taken().len(), 0);
}

#[test]
fn who_sends_on_says_so_unless_the_next_server_will() {
    for (hello, told) in [
        ("250 relay.example.net", true),
        ("250-relay.example.net\r\n250 DSN", false),
    ] {
        let (place, relay) = (Place::new(), Relay::new());
        relay.answer("EHLO", hello);
        let postroom = site(&place, &relay, "redirect \"out@example.net\";\n");
        let mut client = Client::lmtp(postroom.lmtp).expect("a session");
        let mail = "MAIL FROM:<v@example.net> ENVID=QQ1";
        let rcpt = "RCPT TO:<ann@example.org> NOTIFY=SUCCESS,FAILURE";
        assert_eq!(send(&mut client, mail, &[rcpt], 1)[0].code, 250);
        drop(postroom);
        let mails = relay.taken();
        assert_eq!(mails[0].to, ["out@example.net"]);
        let expected = " ENVID=QQ1 NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann@example.org";
        assert_eq!(mails[0].parameters, if told { "" } else { expected });
        assert_eq!(mails.len() == 2, told, "{mails:?}");
        if let Some(status) = mails.get(1) {
            assert!(status.text.contains("\nAction: relayed\n"), "{}", status.text);
            assert!(
                status.text.contains("Subject: Your message was sent on\n"),
                "{}",
                status.text
            );
        }
    }
}

#[test]
fn refusals_are_told_as_the_sender_wants_it() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "require \"reject\";\nreject \"not today\";\n");
    for (ret, notify, told) in [
        ("", "", Some(false)),
        (" RET=HDRS", " NOTIFY=FAILURE", Some(false)),
        (" RET=FULL", " NOTIFY=FAILURE,SUCCESS", Some(true)),
        (" RET=FULL", " NOTIFY=NEVER", None),
        ("", " NOTIFY=SUCCESS", None),
    ] {
        let mut client = Client::smtp(postroom.smtp).expect("a session");
        let mail = format!("MAIL FROM:<v@example.net>{ret} ENVID=X");
        let rcpt = format!("RCPT TO:<ann@example.org>{notify}");
        let replies = send(&mut client, &mail, &[&rcpt, "RCPT TO:<bob@example.org>"], 1);
        assert_eq!(replies[0].code, 250);
        let mails = relay.taken();
        assert_eq!(mails.len(), usize::from(told.is_some()), "{ret}{notify}: {mails:?}");
        if let Some(whole) = told {
            let text = &mails[0].text;
            assert!(
                text.contains("\nAction: failed\n") && text.contains("not today"),
                "{text}"
            );
            assert_eq!(text.contains("the body"), whole, "{text}");
        }
    }
}

#[test]
fn each_recipient_is_answered_where_the_client_asks_for_it() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "require \"reject\";\nreject \"not today\";\n");
    let mut client = Client::smtp(postroom.smtp).expect("a session");
    let to = ["RCPT TO:<ann@example.org>", "RCPT TO:<bob@example.org>"];
    let replies = send(&mut client, "MAIL FROM:<v@example.net> PRDR", &to, 4);
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [353, 550, 250, 250], "{replies:?}");
    assert_eq!(relay.taken().len(), 0);
}

#[test]
fn filters_see_what_the_sender_asked_for() {
    let (place, relay) = (Place::new(), Relay::new());
    let script = "require [\"envelope\", \"envelope-dsn\", \"fileinto\", \"mailbox\"];\n\
                  if allof (envelope \"notify\" \"SUCCESS\", envelope \"orcpt\" \"rfc822;info@example.org\",\n\
                  envelope \"envid\" \"QQ 1\", envelope \"ret\" \"HDRS\") { fileinto :create \"Told\"; }\n";
    let postroom = site(&place, &relay, script);
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let rcpt = "RCPT TO:<ann@example.org> NOTIFY=SUCCESS ORCPT=rfc822;info@example.org";
    send(
        &mut client,
        "MAIL FROM:<v@example.net> RET=HDRS ENVID=QQ+201",
        &[rcpt],
        1,
    );
    assert_eq!(postroom.count("ann@example.org", "Told"), 1);
}

#[test]
fn a_real_mta_passes_wishes_on_and_leaves_success_to_us() {
    if !root() || !present(&["postfix"]) {
        return;
    }
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "keep;\n");
    let lmtp = format!("inet:{}:{}", postroom.lmtp.ip(), postroom.lmtp.port());
    let relayhost = format!("[{}]:{}", relay.address.ip(), relay.address.port());
    let postfix = Postfix::start(
        &place,
        &format!("virtual_mailbox_domains = example.org\nvirtual_transport = lmtp:{lmtp}\nrelayhost = {relayhost}\n"),
        "",
    );
    let mut client = Client::smtp(postfix.smtp).expect("a session");
    let rcpt = "RCPT TO:<ann@example.org> NOTIFY=SUCCESS ORCPT=rfc822;info@example.org";
    let mail = "MAIL FROM:<v@example.net> ENVID=QQ1 RET=HDRS";
    assert_eq!(send(&mut client, mail, &[rcpt], 1)[0].code, 250);
    let told = relay.awaited();
    assert_eq!(told.to, ["v@example.net"]);
    for line in [
        "Original-Envelope-Id: QQ1",
        "Original-Recipient: rfc822; info@example.org",
        "Final-Recipient: rfc822; ann@example.org",
        "Action: delivered",
    ] {
        assert!(told.text.lines().any(|found| found == line), "{line}: {}", told.text);
    }
    let texts = postroom.texts("ann@example.org", "INBOX");
    assert!(texts[0].contains("\nX-Original-To: info@example.org\n"), "{}", texts[0]);
}
