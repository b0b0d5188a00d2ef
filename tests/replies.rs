//! What goes back to senders and owners: vacation replies, rejections, notices about filters.

mod support;

use nix::sys::signal::Signal;
use support::lmtp::{Client, Reply};
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};
use support::relay::{Mail, Relay};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const SENDER: &str = "s@example.net";

fn site(place: &Place, relay: &Relay, scripts: &[(&str, &str)]) -> Postroom {
    let mut postroom = Postroom::configured(
        place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    for (user, script) in scripts {
        postroom.give_script(user, script);
    }
    postroom.serve();
    postroom
}

fn only(mails: Vec<Mail>) -> Mail {
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails.into_iter().next().expect("one")
}

fn numbered(number: usize) -> String {
    format!(
        "From: {SENDER}\r\nTo: {ANN}\r\nSubject: question {number}\r\nMessage-ID: <{number}@example.net>\r\n\r\nbody\r\n"
    )
}

const AWAY: &str = "require \"vacation\";\nvacation :days 7 :subject \"Away\" \"Back on Monday.\";\n";

#[test]
fn one_vacation_for_a_sender() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = site(&place, &relay, &[("ann", AWAY)]);
    assert_eq!(postroom.send(SENDER, &[ANN], &numbered(1))[0].code, 250);
    let reply = relay.awaited();
    assert_eq!((reply.from.as_str(), reply.to), ("", vec![SENDER.to_owned()]));
    for words in [
        "Auto-Submitted: auto-replied",
        "Subject: Away",
        "In-Reply-To: <1@example.net>",
        "To: <s@example.net>",
        "Back on Monday.",
    ] {
        assert!(reply.text.contains(words), "no {words:?} in\n{}", reply.text);
    }
    // The MTA sends it again; the same sender writes again, in other letters too; after a restart.
    postroom.send(SENDER, &[ANN], &numbered(1));
    postroom.send(SENDER, &[ANN], &numbered(2));
    postroom.send("s@EXAMPLE.net", &[ANN], &numbered(3));
    assert!(postroom.running().terminate().success());
    postroom.serve();
    postroom.send(SENDER, &[ANN], &numbered(4));
    assert!(postroom.running().terminate().success());
    postroom.serve();
    assert!(relay.taken().is_empty());
    assert_eq!(postroom.count(ANN, "INBOX"), 4);
    // Another sender, and another recipient, is another matter.
    postroom.send("t@example.net", &[ANN], &numbered(5));
    assert_eq!(relay.awaited().to, ["t@example.net"]);
}

#[test]
fn no_delivery_waits_for_a_vacation_but_the_end_does() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = site(&place, &relay, &[("ann", AWAY)]);
    relay.keep_silent(true);
    assert_eq!(postroom.send(SENDER, &[ANN], &numbered(1))[0].code, 250);
    assert!(relay.taken().is_empty());
    postroom.running().signal(Signal::SIGTERM);
    wait_until("nobody else is let in", || Client::lmtp(postroom.lmtp).is_err());
    relay.keep_silent(false);
    assert!(postroom.running().terminate().success());
    assert_eq!(only(relay.taken()).to, [SENDER]);
}

#[test]
fn a_server_that_says_nothing_holds_no_delivery_up() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            // One delivery at a time: whoever held its place would stop all others.
            more: "timeout = \"120 s\"\n[limits]\ndeliveries = 1\n",
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", AWAY);
    postroom.serve();
    relay.keep_silent(true);
    // More than are sent at once.
    const SENDERS: usize = 40;
    for number in 0..SENDERS {
        let sender = format!("s{number}@example.net");
        let message = numbered(number).replace(SENDER, &sender);
        assert_eq!(postroom.send(&sender, &[ANN], &message)[0].code, 250);
    }
    assert_eq!(postroom.count(ANN, "INBOX"), SENDERS as u64);
    assert!(relay.taken().is_empty());
    relay.keep_silent(false);
    assert!(postroom.running().terminate().success());
    let mut answered: Vec<String> = relay.taken().into_iter().flat_map(|mail| mail.to).collect();
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), SENDERS, "{answered:?}");
}

#[test]
fn no_vacation() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = site(&place, &relay, &[("ann", AWAY)]);
    for (number, (from, field)) in [
        ("", "Subject: a bounce"),
        ("a1@example.net", "List-Id: <x.example.net>"),
        ("a2@example.net", "List-Unsubscribe: <mailto:x@example.net>"),
        ("a3@example.net", "Auto-Submitted: auto-generated"),
        ("a4@example.net", "Precedence: bulk"),
        ("owner-x@example.net", "Subject: from a list"),
        ("x-request@example.net", "Subject: from a list"),
        ("mailer-daemon@example.net", "Subject: from a machine"),
        // To herself.
        (ANN, "Subject: note to myself"),
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!("{field}\r\n{}", numbered(number));
        assert_eq!(postroom.send(from, &[ANN], &message)[0].code, 250, "{from} {field}");
    }
    // Not to her by name: a blind copy.
    let blind = numbered(10).replace(ANN, "all@example.net");
    assert_eq!(postroom.send("a5@example.net", &[ANN], &blind)[0].code, 250);
    assert!(postroom.running().terminate().success());
    let sent = relay.taken();
    assert!(sent.is_empty(), "{sent:?}");
    postroom.serve();
    // And a server that takes nothing holds nothing up.
    relay.answer("MAIL", "451 4.3.0 later");
    assert_eq!(postroom.send("a6@example.net", &[ANN], &numbered(11))[0].code, 250);
    assert_eq!(postroom.count(ANN, "INBOX"), 11);
}

#[test]
fn a_hostile_subject_writes_no_header() {
    let place = Place::new();
    let relay = Relay::new();
    let script = "require [\"vacation\", \"variables\"];\nif header :matches \"Subject\" \"*\" { set \"s\" \"${1}\"; }\n\
        vacation :subject \"Re: ${s}\" \"Away.\";\n";
    let postroom = site(&place, &relay, &[("ann", script)]);
    let message = numbered(1).replace(
        "question 1",
        "=?utf-8?Q?x=0D=0ABcc:_evil@example.com=0D=0A=0D=0Ahello?=",
    );
    assert_eq!(postroom.send(SENDER, &[ANN], &message)[0].code, 250);
    let reply = relay.awaited();
    assert_eq!(reply.to, [SENDER]);
    let header = reply.text.split("\n\n").next().expect("a header");
    assert!(!header.lines().any(|line| line.starts_with("Bcc")), "{header}");
}

const REJECT: &str = "require \"reject\";\nreject \"not today, please\";\n";

fn is_rejection(reply: &Reply) -> bool {
    reply.code == 550 && reply.text.starts_with("5.7.1 ") && reply.text.contains("not today, please")
}

#[test]
fn reject_is_answered_with_the_reason() {
    let place = Place::new();
    let relay = Relay::new();
    let postroom = site(&place, &relay, &[("ann", REJECT)]);
    let replies = postroom.send(SENDER, &[ANN, BOB], &numbered(1));
    assert!(is_rejection(&replies[0]) && replies[1].code == 250, "{replies:?}");
    let reply = postroom.send_by_smtp(SENDER, &[ANN], &numbered(2));
    assert!(is_rejection(&reply), "{reply:?}");
    assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(BOB, "INBOX")), (0, 1));
    assert!(relay.taken().is_empty());
}

#[test]
fn smtp_with_several_recipients() {
    let place = Place::new();
    let relay = Relay::new();
    let scripts = [("ann", REJECT), ("eve", REJECT)];
    let postroom = site(&place, &relay, &scripts);
    // All alike: that reply, and no notification.
    let reply = postroom.send_by_smtp(SENDER, &[ANN, "eve@example.org"], &numbered(1));
    assert!(is_rejection(&reply), "{reply:?}");
    assert!(relay.taken().is_empty());

    // Mixed: taken, and the sender hears who did not get it.
    let reply = postroom.send_by_smtp(SENDER, &[ANN, BOB, "eve@example.org"], &numbered(2));
    assert_eq!(reply.code, 250, "{reply:?}");
    let bounce = only(relay.taken());
    assert_bounce(&bounce, &[ANN, "eve@example.org"]);
    assert!(!bounce.text.contains(BOB), "nobody else is named:\n{}", bounce.text);
    assert_eq!(postroom.count(BOB, "INBOX"), 1);

    // The null sender hears nothing (RFC 5321 §6.1).
    assert_eq!(postroom.send_by_smtp("", &[ANN, BOB], &numbered(3)).code, 250);
    assert!(relay.taken().is_empty());

    // Nobody takes the notification: try again; and then bob has one copy all the same.
    relay.answer("RCPT", "451 4.3.0 later");
    let reply = postroom.send_by_smtp(SENDER, &[ANN, BOB], &numbered(4));
    assert_eq!(reply.code, 451, "{reply:?}");
    relay.take_all();
    assert_eq!(postroom.send_by_smtp(SENDER, &[ANN, BOB], &numbered(4)).code, 250);
    assert_bounce(&only(relay.taken()), &[ANN]);
    assert_eq!(postroom.count(BOB, "INBOX"), 3);
}

// RFC 3464: a report of three parts, with a group of fields for each recipient.
fn assert_bounce(bounce: &Mail, refused: &[&str]) {
    assert_eq!(
        (bounce.from.as_str(), bounce.to.as_slice()),
        ("", &[SENDER.to_owned()][..])
    );
    for words in [
        "Content-Type: multipart/report",
        "report-type=",
        "Content-Type: message/delivery-status",
        "Reporting-MTA: dns; mx.example.org",
        "Action: failed",
        "Status: 5.7.1",
        "not today, please",
        "Auto-Submitted: auto-replied",
        "Subject: question",
    ] {
        assert!(bounce.text.contains(words), "no {words:?} in\n{}", bounce.text);
    }
    for address in refused {
        let field = format!("Final-Recipient: rfc822; {address}");
        assert!(bounce.text.contains(&field), "no {field:?} in\n{}", bounce.text);
    }
}

// RFC 5965, with the null sender and no answer to it.
#[test]
fn a_report_leaves_behind_the_delivery() {
    let place = Place::new();
    let relay = Relay::new();
    let script = "require [\"vnd.dovecot.report\", \"fileinto\", \"mailbox\"];\n\
        report \"abuse\" \"It slipped through.\" \"desk@example.net\";\n\
        report \"abuse\" \"to myself\" \"ann@example.org\";\nfileinto :create \"Junk\";\n";
    let postroom = site(&place, &relay, &[("ann", script)]);
    let message = numbered(1).replace("body", "Grüße");
    assert_eq!(postroom.send(SENDER, &[ANN], &message)[0].code, 250);
    let report = relay.awaited();
    assert_eq!(
        (report.from.as_str(), report.to.as_slice()),
        ("", &["desk@example.net".to_owned()][..])
    );
    for words in [
        "Subject: FW: question 1",
        "Auto-Submitted: auto-generated (report)",
        "Content-Type: multipart/report; report-type=feedback-report;",
        "It slipped through.",
        "Content-Type: message/feedback-report",
        "Feedback-Type: abuse",
        "Original-Mail-From: <s@example.net>",
        "Original-Rcpt-To: <ann@example.org>",
        "Reporting-MTA: dns; mx.example.org",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: 8bit",
    ] {
        assert!(report.text.contains(words), "no {words:?} in\n{}", report.text);
    }
    let held = message.replace("\r\n", "\n");
    assert!(report.text.contains(&format!("\n\n{held}\n--=_")), "{}", report.text);
    // Nobody reports a report; and a server that takes none holds nothing up.
    assert_eq!(
        postroom.send("", &[ANN], &report.text.replace('\n', "\r\n"))[0].code,
        250
    );
    relay.answer("RCPT", "550 5.1.1 no such desk");
    assert_eq!(postroom.send(SENDER, &[ANN], &numbered(2))[0].code, 250);
    wait_until("what came of it is written down", || {
        let told = postroom.run(&["explain", ANN, "2@example.net"]);
        String::from_utf8_lossy(&told).contains("not reported to desk@example.net: ")
    });
    assert_eq!(postroom.count(ANN, "Junk"), 3);
    assert!(relay.taken().is_empty());
    for (id, words) in [
        ("1@example.net", "  reported to desk@example.net  "),
        (
            "1@example.net",
            "  not reported to ann@example.org: it is an own address\n",
        ),
        ("2@example.net", "  filed into Junk (uid 3)  "),
    ] {
        let told = String::from_utf8_lossy(&postroom.run(&["explain", ANN, id])).into_owned();
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
}

#[test]
fn deliver_bounces_by_itself_or_leaves_it() {
    let place = Place::new();
    let relay = Relay::new();
    let postroom = site(&place, &relay, &[("ann", REJECT)]);
    let deliver = |more: &[&str], number: usize| {
        let mut arguments = vec!["deliver", "-d", ANN, "-f", SENDER];
        arguments.extend(more);
        let output = postroom.run_with_input(&arguments, numbered(number).as_bytes());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, said) = deliver(&["-e"], 1);
    assert!(
        code == Some(77) && said.starts_with("5.7.1 not today, please"),
        "{code:?} {said}"
    );
    assert!(relay.taken().is_empty());
    assert_eq!(deliver(&[], 2).0, Some(0));
    assert_bounce(&only(relay.taken()), &[ANN]);
    // A bounce that nobody takes: the message is the MTA's again.
    relay.answer("MAIL", "451 4.3.0 later");
    let (code, said) = deliver(&[], 3);
    assert!(code == Some(75) && said.starts_with("4."), "{code:?} {said}");
}

#[test]
fn a_script_that_fails_loses_nothing() {
    for (script, words) in [
        ("fileinto \"X\" \"Y\" {", ".sieve:1:"),
        ("require \"no-such-extension\";\nkeep;\n", ".sieve:1:"),
        ("keep;\n\nif header :is \"Subject\" {\n", ".sieve:3:"),
        // At run time.
        (
            "require [\"include\"];\ninclude \"gone\";\ndiscard;\n",
            "there is no script \"gone\"",
        ),
        ("\u{0}\u{1}\u{2}", ".sieve:1:"),
    ] {
        let place = Place::new();
        let relay = Relay::new();
        let postroom = site(&place, &relay, &[("ann", script)]);
        for number in 1..=3 {
            assert_eq!(
                postroom.send(SENDER, &[ANN], &numbered(number))[0].code,
                250,
                "{script:?}"
            );
        }
        let texts = postroom.texts(ANN, "INBOX");
        assert_eq!(texts.len(), 4, "{script:?}: three messages and one notice: {texts:#?}");
        let notices: Vec<&String> = texts.iter().filter(|it| !it.contains("question")).collect();
        assert_eq!(notices.len(), 1, "{script:?}");
        // Quoted-printable breaks long lines.
        let notice = notices[0].replace("=\n", "").replace("=E2=94=82", "|");
        assert!(notice.contains(words), "{script:?}: {notice}");
        assert!(notice.contains("What you can do:"), "{script:?}: {notice}");
        let shown = script.lines().any(|line| !line.is_empty() && notice.contains(line));
        let shown = shown || script.contains(char::is_control) && !script.contains('\n');
        assert!(
            shown || !words.starts_with(".sieve:"),
            "the line itself: {script:?}: {notice}"
        );
        assert!(relay.taken().is_empty(), "a notice is put straight into INBOX");
        postroom.run(&["index", "check", ANN]);
    }
}
