//! Quotas at the real door: refusals, rules of mailboxes, warnings, and what other programs read of them.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;
use support::lmtp::Client;
use support::peers::{present, program, root};
use support::place::{MAIL_USER, Place, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const SENDER: &str = "s@example.net";
/// Files by the subject.
const SCRIPT: &str = "require [\"fileinto\", \"mailbox\"];\n\
    if header :is \"subject\" \"trash\" { fileinto :create \"Trash\"; }\n\
    if header :is \"subject\" \"junk\" { fileinto :create \"Junk.Old\"; }\n";

fn message(subject: &str, bytes: usize) -> String {
    format!(
        "Subject: {subject}\r\n\r\n{}\r\n",
        "0123456789abcdef\r\n".repeat(bytes / 18)
    )
}

/// A site where ann has this quota, with more configuration; a script files her mail.
fn site(place: &Place, quota: &str, more: &str) -> Postroom {
    let table = place.file("users.toml", format!("[\"{ANN}\"]\n{quota}\n[\"bob@example.org\"]\n"));
    let mut postroom = Postroom::configured(
        place,
        &Wishes {
            table: Some(&table),
            more,
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", SCRIPT);
    postroom.serve();
    postroom
}

fn code(postroom: &Postroom, message: &str) -> u16 {
    postroom.send(SENDER, &[ANN], message)[0].code
}

fn shown(postroom: &Postroom) -> Value {
    serde_json::from_slice(&postroom.run(&["quota", "show", "--json", ANN])).expect("JSON")
}

fn warnings(postroom: &Postroom) -> usize {
    let subjects = postroom.messages(ANN, "INBOX");
    let is_warning = |it: &&Value| it["subject"].as_str().expect("text").starts_with("Your mailbox");
    subjects.iter().filter(is_warning).count()
}

#[test]
fn a_full_account_is_refused_at_rcpt() {
    let place = Place::new();
    let postroom = site(&place, "quota_messages = 1", "");
    assert_eq!(code(&postroom, &message("one", 10)), 250);
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    client.command("MAIL FROM:<t@example.net>").expect("a reply");
    let reply = client.command("RCPT TO:<ann@example.org>").expect("a reply");
    assert!(reply.code == 552 && reply.text.starts_with("5.2.2"), "{reply:?}");
    let reply = client.command("RCPT TO:<bob@example.org>").expect("a reply");
    assert_eq!(reply.code, 250, "others are not full: {reply:?}");
    // What was delivered and is sent again is no new message.
    let mut same = Client::lmtp(postroom.lmtp).expect("a session");
    same.command("MAIL FROM:<s@example.net>").expect("a reply");
    assert_eq!(same.command("RCPT TO:<ann@example.org>").expect("a reply").code, 452);
}

#[test]
fn of_many_at_once_as_many_as_fit() {
    let place = Place::new();
    let postroom = site(&place, "quota_messages = 3", "");
    let codes: Vec<u16> = thread::scope(|scope| {
        let postroom = &postroom;
        let senders: Vec<_> = (0..12)
            .map(|at| {
                let text = message(&format!("number {at}"), 100);
                scope.spawn(move || postroom.send(&format!("s{at}@example.net"), &[ANN], &text)[0].code)
            })
            .collect();
        senders.into_iter().map(|it| it.join().expect("a reply")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 250).count(), 3, "{codes:?}");
    assert!(codes.iter().all(|code| [250, 552].contains(code)), "{codes:?}");
    assert_eq!(postroom.count(ANN, "INBOX"), 3);
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn the_trash_holds_more_and_junk_does_not_count() {
    let place = Place::new();
    let rules = "\n[[quota.mailbox]]\nname = \"Trash\"\nextra = \"50%\"\n\
                 [[quota.mailbox]]\nname = \"Junk*\"\nignore = true\n";
    let postroom = site(&place, "quota = \"4000 B\"", rules);
    for _ in 0..3 {
        let junk = message("junk", 2000);
        assert_eq!(
            code(&postroom, &junk),
            250,
            "the first is one delivery, the others the same again"
        );
        assert_eq!(postroom.send("t@example.net", &[ANN], &junk)[0].code, 250);
    }
    assert_eq!(code(&postroom, &message("kept", 2500)), 250);
    assert_eq!(
        code(&postroom, &message("kept too", 2000)),
        452,
        "remembered correspondents"
    );
    assert_eq!(
        postroom.send("u@example.net", &[ANN], &message("kept too", 2000))[0].code,
        552
    );
    assert_eq!(
        code(&postroom, &message("trash", 2000)),
        250,
        "6000 are the limit there"
    );
    assert_eq!(postroom.count(ANN, "Trash"), 1);

    let shown = shown(&postroom);
    let mailboxes = shown["mailboxes"].as_array().expect("a list");
    let mailbox = |name: &str| mailboxes.iter().find(|it| it["name"] == name).expect(name);
    assert_eq!(mailbox("Junk.Old")["counts"], false);
    assert_eq!(mailbox("Trash")["bytes_limit"], 6000);
    let counted: u64 = ["INBOX", "Trash"]
        .iter()
        .map(|name| mailbox(name)["size"].as_u64().expect("a number"))
        .sum();
    assert_eq!(shown["bytes"]["used"], counted);
    assert!(shown["bytes"]["percent"].as_u64() > Some(100), "{shown}");
    let table = String::from_utf8(postroom.run(&["quota", "show", ANN])).expect("UTF-8");
    for part in ["4000", "yes, up to 6000 bytes", "Junk.Old"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    let said = String::from_utf8(postroom.run(&["quota", "recalculate", ANN])).expect("UTF-8");
    assert!(said.contains(&format!("{counted} bytes in 2 messages count")), "{said}");
}

#[test]
fn warnings_come_once_each_time_and_hold_nothing_up() {
    let place = Place::new();
    let log = place.path("warned");
    let line = format!("echo \"$USER $PERCENT $1 $2\" >>{}", log.display());
    let command = serde_json::to_string(&["/bin/sh", "-c", &line, "sh", "{user}", "{used}/{limit}"]).expect("strings");
    let more = format!(
        "\n[[quota.warning]]\nat = \"80%\"\nof = \"messages\"\n\
         [[quota.warning]]\nat = \"80%\"\nof = \"messages\"\nmessage = false\ncommand = {command}\n\
         [[quota.warning]]\nat = \"80%\"\nof = \"messages\"\nbelow = true\nmessage = false\ncommand = {}\n\
         [[quota.warning]]\nat = \"70%\"\nof = \"messages\"\nmessage = false\ncommand = [\"/no/such/program\"]\n",
        command.replace("$PERCENT", "below $PERCENT")
    );
    let postroom = site(&place, "quota_messages = 10", &more);
    let warned = || fs::read_to_string(&log).unwrap_or_default();
    for at in 0..8 {
        assert_eq!(warnings(&postroom), 0);
        assert_eq!(code(&postroom, &message(&format!("number {at}"), 10)), 250);
    }
    wait_until("the warning is there", || warnings(&postroom) == 1);
    wait_until("the command was run", || !warned().is_empty());
    assert!(postroom.log().contains("/no/such/program"));
    assert_eq!(code(&postroom, &message("the last", 10)), 250);
    assert_eq!(postroom.send("t@example.net", &[ANN], &message("no", 10))[0].code, 552);
    assert_eq!(shown(&postroom)["messages"]["percent"], 100);

    // Another program makes room, and the account fills up again.
    let texts = postroom.messages(ANN, "INBOX");
    let path = |it: &Value| postroom.home("ann").join(it["path"].as_str().expect("a path"));
    texts
        .iter()
        .take(5)
        .map(path)
        .for_each(|path| fs::remove_file(path).expect("removed"));
    postroom.run(&["quota", "recalculate", ANN]);
    wait_until("it is told that there is room", || warned().contains("below 80"));
    for at in 0..3 {
        assert_eq!(code(&postroom, &message(&format!("again {at}"), 10)), 250);
    }
    wait_until("there is a second warning", || warned().lines().count() == 3);
    let warned = warned();
    let lines: Vec<&str> = warned.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{ANN} 80 {ANN} 8/10"),
            format!("{ANN} below 80 {ANN} 5/10"),
            format!("{ANN} 80 {ANN} 8/10"),
        ]
    );
}

/// What Dovecot says an account uses: bytes by its `maildirsize` once it has read it, and messages.
fn by_dovecot(place: &Place, home: &Path) -> (String, u64) {
    let config = place.file(
        "doveadm.conf",
        format!(
            "base_dir = {base}\nlog_path = {base}/log\nmail_location = maildir:~/Maildir\nmail_plugins = quota\n\
             mail_uid = {MAIL_USER}\nmail_gid = {MAIL_USER}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
             namespace inbox {{\n  inbox = yes\n}}\n\
             plugin {{\n  quota = maildir:User quota\n  quota_rule = *:bytes=100000:messages=50\n  quota_rule2 = Junk*:ignore\n}}\n",
            base = place.folder("doveadm").display()
        ),
    );
    let mut command = Command::new(program("doveadm").expect("doveadm"));
    command.args(["-f", "tab", "-c"]).arg(&config).args(["quota", "get"]);
    let out = support::child::run(command.env("USER", "ann").env("HOME", home));
    let out = String::from_utf8(out).expect("UTF-8");
    let messages = out.lines().find_map(|line| line.strip_prefix("User quota\tMESSAGE\t"));
    let messages = messages.and_then(|line| line.split('\t').next()?.parse().ok());
    let size = fs::read_to_string(home.join("Maildir/maildirsize")).expect("maildirsize");
    (size, messages.unwrap_or_else(|| panic!("{out}")))
}

/// Limits and sums of a `maildirsize`.
fn sums(text: &str) -> (String, i64, i64) {
    let (limits, lines) = text.split_once('\n').expect("two lines");
    let numbers = lines.lines().map(|line| line.split_once(' ').expect("two numbers"));
    let sum = numbers.fold((0, 0), |sum, (bytes, messages)| {
        let number = |text: &str| text.parse::<i64>().expect("a number");
        (sum.0 + number(bytes), sum.1 + number(messages))
    });
    (limits.to_owned(), sum.0, sum.1)
}

#[test]
fn dovecot_and_postroom_agree_on_maildirsize() {
    if !root() || !present(&["doveadm"]) {
        return;
    }
    let place = Place::new();
    let rules = "\n[quota]\nmaildirsize = true\n[[quota.mailbox]]\nname = \"Junk*\"\nignore = true\n";
    let table = place.file(
        "users.toml",
        format!("[\"{ANN}\"]\nquota = 100_000\nquota_messages = 50\n"),
    );
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            as_mail_user: true,
            table: Some(&table),
            more: rules,
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", SCRIPT);
    postroom.serve();
    let home = postroom.home("ann");
    for (at, subject) in ["kept", "junk", "trash", "kept"].into_iter().enumerate() {
        let text = message(subject, 500 + 500 * at);
        assert_eq!(code(&postroom, &text), 250);
    }
    let path = home.join("Maildir/maildirsize");
    let ours = fs::read_to_string(&path).expect("it was made");
    let (limits, bytes, messages) = sums(&ours);
    assert_eq!((limits.as_str(), messages), ("100000S,50C", 3), "{ours}");
    let (read, counted) = by_dovecot(&place, &home);
    assert_eq!((read, counted), (ours, 3), "Dovecot took it as it was");
    // What Dovecot counts itself is the same.
    fs::remove_file(&path).expect("removed");
    let (written, counted) = by_dovecot(&place, &home);
    assert_eq!((sums(&written), counted), (("100000S,50C".to_owned(), bytes, 3), 3));
    // It is that one to which the next delivery adds.
    assert_eq!(code(&postroom, &message("one more", 700)), 250);
    let (_, added, messages) = sums(&fs::read_to_string(&path).expect("maildirsize"));
    assert!(added > bytes && messages == 4);
    assert_eq!(by_dovecot(&place, &home).1, 4);
    let said = postroom.run(&["quota", "recalculate", ANN]);
    assert!(String::from_utf8_lossy(&said).contains("maildirsize is written"));
    let (limits, counted, messages) = sums(&fs::read_to_string(&path).expect("maildirsize"));
    assert_eq!((limits.as_str(), counted, messages), ("100000S,50C", added, 4));
}
