//! Scripts over mail in a store in memory: what is done, and that doing it again does nothing.

use std::sync::Arc;

use super::super::tests::residents;
use super::super::{DeliveredTo, Options, SiteScripts};
use super::*;
use crate::directory;
use crate::mail::{Quota, UidSet};
use crate::sieve::{self, Engine};
use crate::store::{MemoryStore, Store};
use crate::submission::{Route, Submitter, Tls};

const ANN: &str = "ann@example.org";

struct Desk {
    sorter: Sorter,
    found: Found,
    account: Arc<dyn Account>,
    _home: tempfile::TempDir,
}

fn desk() -> Desk {
    let home = tempfile::tempdir().unwrap();
    let directory = directory::open(&residents(Quota::default()), home.path()).unwrap();
    let found = directory.find_user(ANN).unwrap().unwrap();
    let store = Arc::new(MemoryStore::new());
    let account = store.account(&found.user, &found.home).unwrap();
    let submitter = Submitter::new(crate::submission::Options {
        route: Route::None,
        tls: Tls::None,
        timeout: std::time::Duration::from_secs(1),
        hostname: "mx.example.org".to_owned(),
        notices_from: Address::parse("postmaster@example.org").unwrap(),
        redirect_sender: crate::submission::RedirectSender::Original,
    });
    let options = Options {
        hostname: "mx.example.org".to_owned(),
        delivered_to: DeliveredTo::Single,
        refuse_over_quota: true,
        warnings: Vec::new(),
        create_mailboxes: false,
        hops: 100,
        separator: '.',
        filter: true,
        scripts: SiteScripts::default(),
        domains: Vec::new(),
        script_size: 1 << 20,
        programs: None,
        lists: None,
        confined: None,
    };
    let engine = Engine::new(sieve::Options::default());
    let sorter = Sorter::new(directory, store, engine, submitter, options);
    Desk {
        sorter,
        found,
        account,
        _home: home,
    }
}

impl Desk {
    fn put(&self, mailbox: &str, text: &str) {
        let name = name(mailbox);
        self.account.create_mailbox(&name).unwrap();
        let message = Message::from_bytes(text.as_bytes().to_vec());
        self.account.append(&name, &message, &Flags::new(), None).unwrap();
    }

    fn run(&self, mailbox: &str, script: &str, may: May, execute: bool) -> (Vec<Ruling>, Vec<NotRedirected>) {
        let mailbox = name(mailbox);
        let script = format!(
            "require [\"fileinto\",\"mailbox\",\"copy\",\"imap4flags\",\"envelope\",\"subaddress\",\"duplicate\",\
             \"vacation\",\"reject\",\"enotify\"];\n{script}"
        );
        let script = Script::new("test", script.into_bytes());
        let account = (&self.found, &*self.account);
        let mut application = self
            .sorter
            .apply(account, &mailbox, script, SpoolOptions::default(), may)
            .unwrap();
        let flags = self.account.flags(&mailbox, &UidSet::all()).unwrap();
        let uids: Vec<Uid> = flags.into_iter().map(|(uid, _, _)| uid).collect();
        let rulings = application.judge(&uids).unwrap();
        let failed = match execute {
            true => application.carry_out(&rulings).unwrap(),
            false => Vec::new(),
        };
        (rulings, failed)
    }

    /// `INBOX 1 Lists 1[\Seen]`: the mailboxes that hold something, and the flags of what is in them.
    fn state(&self) -> String {
        let mut words = Vec::new();
        for mailbox in self.account.mailboxes().unwrap() {
            let flags = self.account.flags(&mailbox.name, &UidSet::all()).unwrap();
            if flags.is_empty() {
                continue;
            }
            let set: Vec<String> = flags.iter().map(|(_, _, flags)| flags.to_string()).collect();
            let set = set.join(" ").trim().to_owned();
            let set = if set.is_empty() { set } else { format!("[{set}]") };
            words.push(format!("{} {}{set}", mailbox.name, flags.len()));
        }
        words.join(" ")
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').unwrap()
}

const MESSAGE: &str =
    "Return-Path: <bob@example.net>\nDelivered-To: ann+lists@example.org\nSubject: hello\nMessage-ID: <1@x>\n\nbody\n";

#[test]
fn what_becomes_of_a_message_and_that_it_is_done_once() {
    let none = May::default();
    let all = May {
        expunge: true,
        redirect: false,
    };
    for (mailbox, trash, may, script, expected, undone) in [
        ("INBOX", false, none, "keep;", "INBOX 1", ""),
        ("INBOX", false, none, "keep :flags \"\\\\Seen\";", "INBOX 1[\\Seen]", ""),
        ("INBOX", false, none, "fileinto :create \"A\";", "A 1", ""),
        ("INBOX", false, none, "fileinto \"A\";", "INBOX 1", "file into A"),
        (
            "INBOX",
            false,
            none,
            "fileinto :create :flags \"\\\\Flagged\" \"A\";",
            "A 1[\\Flagged]",
            "",
        ),
        ("INBOX", false, none, "fileinto :create :copy \"A\";", "A 1 INBOX 1", ""),
        (
            "INBOX",
            false,
            none,
            "fileinto :create :copy :flags \"$x\" \"A\";",
            "A 1[$x] INBOX 1",
            "",
        ),
        (
            "INBOX",
            false,
            none,
            "fileinto :create \"A\"; fileinto :create \"B\";",
            "A 1 B 1",
            "",
        ),
        ("INBOX", false, none, "fileinto :create \"A\"; keep;", "A 1 INBOX 1", ""),
        // What is kept stays where it is, and so does what is filed into where it is.
        ("Lists", false, none, "keep;", "Lists 1", ""),
        ("Lists", false, none, "fileinto \"Lists\";", "Lists 1", ""),
        ("Lists", false, none, "fileinto \"INBOX\";", "INBOX 1", ""),
        ("INBOX", true, none, "discard;", "Trash 1", ""),
        ("INBOX", true, all, "discard;", "Trash 1", ""),
        ("INBOX", false, none, "discard;", "INBOX 1", "discard"),
        ("INBOX", false, all, "discard;", "", ""),
        ("Trash", true, all, "discard;", "Trash 1", ""),
        // What is not done keeps the message from going.
        (
            "INBOX",
            true,
            all,
            "redirect \"c@example.net\";",
            "INBOX 1",
            "redirect to c@example.net",
        ),
        ("INBOX", true, all, "reject \"no\";", "INBOX 1", "reject"),
        ("INBOX", true, none, "vacation \"away\";", "INBOX 1", ""),
        (
            "INBOX",
            true,
            none,
            "notify \"mailto:c@example.net\";",
            "INBOX 1",
            "notify mailto:c@example.net",
        ),
        (
            "INBOX",
            true,
            none,
            "redirect \"c@example.net\"; fileinto :create \"A\";",
            "A 1",
            "redirect to c@example.net",
        ),
        // The envelope comes from the trace fields.
        (
            "INBOX",
            false,
            none,
            "if envelope \"from\" \"bob@example.net\" { fileinto :create \"A\"; }",
            "A 1",
            "",
        ),
        (
            "INBOX",
            false,
            none,
            "if envelope :detail \"to\" \"lists\" { fileinto :create \"A\"; }",
            "A 1",
            "",
        ),
        ("INBOX", true, none, "if duplicate { discard; }", "INBOX 1", ""),
    ] {
        let desk = desk();
        desk.put(mailbox, MESSAGE);
        if trash {
            desk.account.create_mailbox(&name("Trash")).unwrap();
            desk.account
                .set_special_use(&name("Trash"), Some(SpecialUse::Trash))
                .unwrap();
        }
        let before = desk.state();
        let (rulings, _) = desk.run(mailbox, script, may, false);
        assert_eq!(desk.state(), before, "{script}: nothing is done unasked");
        let said: Vec<&str> = rulings[0].undone.iter().map(|undone| undone.what.as_str()).collect();
        assert_eq!(said.join(", "), undone, "{script}");
        for _ in 0..2 {
            desk.run(mailbox, script, may, true);
            assert_eq!(desk.state(), expected, "{mailbox}: {script}");
        }
        let (again, _) = desk.run(mailbox, script, may, true);
        assert!(
            again.iter().all(|ruling| ruling.deeds.is_empty()),
            "{script}: {again:?}"
        );
    }
}

#[test]
fn a_run_that_was_stopped_is_gone_on_with() {
    let script = "fileinto :create :flags \"$a\" \"A\"; fileinto :create :flags \"$b\" \"B\";";
    let desk = desk();
    desk.put("INBOX", MESSAGE);
    // After the copy, before its flags, and before the move.
    desk.account.create_mailbox(&name("B")).unwrap();
    desk.account
        .copy(&MailboxName::inbox(), &UidSet::all(), &name("B"))
        .unwrap();
    desk.run("INBOX", script, May::default(), true);
    assert_eq!(desk.state(), "A 1[$a] B 1[$b]");
}

#[test]
fn a_failing_script_does_nothing() {
    let desk = desk();
    desk.put("INBOX", MESSAGE);
    let (rulings, _) = desk.run(
        "INBOX",
        "fileinto :create \"A\"; redirect \"none\";",
        May::default(),
        true,
    );
    assert!(rulings[0].error.is_some(), "{rulings:?}");
    assert_eq!(desk.state(), "INBOX 1");
}

#[test]
fn what_cannot_be_sent_on_stays() {
    let desk = desk();
    desk.put("INBOX", MESSAGE);
    let may = May {
        expunge: true,
        redirect: true,
    };
    // There is no submission server.
    let (_, failed) = desk.run("INBOX", "redirect \"c@example.net\";", may, true);
    assert_eq!(failed.len(), 1);
    assert_eq!(desk.state(), "INBOX 1");
    let mut keyword = Flags::new();
    keyword.insert(REDIRECTED).unwrap();
    // Killed after it was sent, before it was removed.
    let alteration = crate::store::Alteration::Add(keyword);
    desk.account
        .alter(&MailboxName::inbox(), &UidSet::all(), &alteration, None)
        .unwrap();
    let (_, failed) = desk.run("INBOX", "redirect \"c@example.net\";", may, true);
    assert!(failed.is_empty());
    assert_eq!(desk.state(), "");
}
