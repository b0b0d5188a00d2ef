//! Plans carried out: written by hand, on a store on a disk, with a program for the MTA.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::history::Chronicle;
use super::*;
use crate::directory;
use crate::mail::{Client, Deferral, Flags, MessageDsn, Notify, Protocol, Quota, SpecialUse, UidSet};
use crate::sieve::{self, Action, Fcc, FeedbackReport, Period, Planned, RedirectDsn, VacationReply};
use crate::store::{Disk, LocalStore, Options as StoreOptions, Step};
use crate::submission::{self, RedirectSender, Route, Tls};

const CAME: &str = "Subject: as it came\r\nMessage-ID: <1@example.com>\r\n\r\nbody\r\n";

/// A site with one user, whose MTA is a program that writes down what it gets.
struct Site {
    folder: tempfile::TempDir,
    sorter: Sorter,
    parcel: Parcel,
    found: Found,
}

impl Site {
    fn new() -> Site {
        Site::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        for name in ["sent", "programs", "piped", "ann"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        let sendmail = path.join("sendmail");
        // A file for each message; `refuse` and `later` say how it ends.
        write_program(
            &sendmail,
            &format!(
                "cd '{}'\nif test -e refuse; then exit 67; fi\nif test -e later; then exit 75; fi\n\
                 f=$(mktemp sent/XXXXXX)\necho \"$*\" >\"$f\"\ncat >>\"$f\"",
                path.display()
            ),
        );
        let mut options = Options {
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
            programs: Some(Programs {
                folder: path.join("programs"),
                timeout: Duration::from_secs(20),
                output: 1 << 20,
                pipe: true,
                ask: true,
            }),
            lists: None,
            confined: None,
        };
        change(&mut options);
        let submission = submission::Options {
            route: Route::Sendmail(sendmail),
            tls: Tls::None,
            timeout: Duration::from_secs(20),
            hostname: "mx.example.org".to_owned(),
            notices_from: address("postmaster@example.org"),
            redirect_sender: RedirectSender::Original,
        };
        let store = LocalStore::new(StoreOptions {
            disk: Disk {
                fsync: false,
                ..Disk::default()
            },
            ..StoreOptions::default()
        });
        let sorter = Sorter::new(
            directory::open(&residents(Quota::default()), &path).unwrap(),
            Arc::new(store),
            Engine::new(sieve::Options::default()),
            Submitter::new(submission),
            options,
        );
        let recipient = Recipient::new(address("ann@example.org"));
        let envelope = Envelope {
            reverse_path: ReversePath::Address(address("bob@example.com")),
            recipients: vec![recipient],
            others: 0,
            smtputf8: false,
            dsn: MessageDsn::default(),
            prdr: false,
            client: Client::new("mta", None, Protocol::Lmtp),
        };
        let parcel = Parcel::new(Message::from_bytes(CAME), envelope, DeliveryId::new());
        let found = Found {
            user: "ann@example.org".to_owned(),
            home: path.join("ann"),
            detail: None,
            quota: Quota::default(),
            addresses: vec![address("ann@example.org")],
        };
        Site {
            folder,
            sorter,
            parcel,
            found,
        }
    }

    fn program(&self, name: &str, body: &str) {
        let body = format!("cd '{}'\n{body}", self.folder.path().join("piped").display());
        write_program(&self.folder.path().join("programs").join(name), &body);
    }

    fn account(&self) -> Arc<dyn Account> {
        self.sorter.account(&self.found.user, &self.found.home).unwrap()
    }

    /// Carries a plan out, and the errands.
    fn carry_out(&self, actions: Vec<Planned>) -> Outcome {
        let account = self.account();
        let recipient = &self.parcel.envelope.recipients[0];
        let (message, reverse_path) = (&self.parcel.message, &self.parcel.envelope.reverse_path);
        let delivery = Delivery {
            parcel: &self.parcel,
            recipient,
            found: &self.found,
            account: account.as_ref(),
            key: key::redelivery_key(message, reverse_path, &recipient.address),
            keep_in: None,
            chronicle: Chronicle::default(),
            unanswered: Cell::new(false),
        };
        let plan = Plan {
            actions,
            remember: Vec::new(),
        };
        match self.sorter.carry_out(&delivery, plan) {
            Ok((outcome, errands)) => {
                self.sorter.run_errands(errands);
                outcome
            }
            Err(failure) => failure.into_outcome(),
        }
    }

    /// The messages of a mailbox, as they lie there.
    fn texts(&self, mailbox: &str) -> Vec<String> {
        let (account, mailbox) = (self.account(), name(mailbox));
        let Ok(entries) = account.entries(&mailbox, &UidSet::all()) else {
            return Vec::new();
        };
        let text = |uid| {
            let mut text = String::new();
            account.open(&mailbox, uid).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        entries.into_iter().map(|entry| text(entry.uid)).collect()
    }

    fn flags(&self, mailbox: &str) -> Vec<String> {
        let entries = self.account().entries(&name(mailbox), &UidSet::all()).unwrap();
        entries.iter().map(|entry| entry.flags.to_string()).collect()
    }

    /// What the MTA got: a line of arguments, then the message.
    fn sent(&self) -> Vec<String> {
        self.files("sent")
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join(folder)).unwrap();
        files
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect()
    }

    fn mark(&self, name: &str) {
        fs::write(self.folder.path().join(name), "").unwrap();
    }

    fn unmark(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn check(&self) {
        assert_eq!(self.account().check().unwrap(), Vec::<String>::new());
    }
}

// By another process: a thread that forks meanwhile must not inherit the open file.
fn write_program(path: &Path, body: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat >\"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let script = format!("#!/bin/sh\n{body}\n");
    writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').unwrap()
}

fn edition(subject: &str) -> Message {
    Message::from_bytes(CAME.replace("as it came", subject))
}

fn edited(action: Action, edition: &Message) -> Planned {
    Planned {
        edition: Some(edition.clone()),
        ..Planned::new(action)
    }
}

fn keep() -> Action {
    Action::Keep { flags: Flags::new() }
}

fn fileinto(mailbox: &str) -> Action {
    Action::FileInto {
        mailbox: name(mailbox),
        flags: Flags::new(),
        copy: false,
        create: true,
        special_use: None,
    }
}

fn redirect(to: &str) -> Action {
    Action::Redirect {
        address: address(to),
        copy: false,
        dsn: RedirectDsn::default(),
    }
}

fn pipe(program: &str, arguments: &[&str]) -> Action {
    Action::Pipe {
        program: program.to_owned(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        copy: false,
        attempt: false,
    }
}

fn attempt(program: &str) -> Action {
    match pipe(program, &[]) {
        Action::Pipe {
            program,
            arguments,
            copy,
            ..
        } => Action::Pipe {
            program,
            arguments,
            copy,
            attempt: true,
        },
        other => other,
    }
}

fn vacation(fcc: Option<Fcc>) -> Action {
    vacation_to("bob@example.com", fcc)
}

fn vacation_to(sender: &str, fcc: Option<Fcc>) -> Action {
    Action::Vacation(VacationReply {
        address: address(sender),
        subject: "Auto: as it came".to_owned(),
        message: "away".to_owned(),
        mime: false,
        from: None,
        period: Period::Days(7),
        handle: "h".to_owned(),
        fcc,
    })
}

fn fcc(mailbox: &str, flags: &str, create: bool) -> Fcc {
    let mut set = Flags::new();
    flags.split_whitespace().for_each(|flag| set.insert(flag).unwrap());
    Fcc {
        mailbox: name(mailbox),
        flags: set,
        create,
        special_use: create.then_some(SpecialUse::Sent),
    }
}

fn assert_delivered(outcome: &Outcome, copies: usize) {
    match outcome {
        Outcome::Delivered {
            placements,
            again: false,
            ..
        } => assert_eq!(placements.len(), copies),
        other => panic!("{other:?}"),
    }
}

fn assert_again(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Delivered { again: true, .. }), "{outcome:?}");
}

#[test]
fn each_action_gets_its_edition() {
    let site = Site::new();
    site.program("take", "cat >\"$1\"");
    let (first, second) = (edition("first"), edition("second"));
    let plan = || {
        vec![
            edited(fileinto("A"), &first),
            edited(redirect("out@example.net"), &first),
            edited(fileinto("B"), &second),
            edited(fileinto("C"), &first),
            edited(pipe("take", &["piped"]), &second),
            Planned::new(fileinto("D")),
            edited(keep(), &second),
        ]
    };
    assert_delivered(&site.carry_out(plan()), 5);
    for (mailbox, subject) in [
        ("A", "first"),
        ("B", "second"),
        ("C", "first"),
        ("D", "as it came"),
        ("INBOX", "second"),
    ] {
        let texts = site.texts(mailbox);
        assert_eq!(texts.len(), 1, "{mailbox}");
        let text = &texts[0];
        // The trace fields stand before any edition.
        assert!(
            text.starts_with("Return-Path: <bob@example.com>\n"),
            "{mailbox}: {text}"
        );
        assert!(
            text.contains("\nDelivered-To: ann@example.org\nReceived: "),
            "{mailbox}: {text}"
        );
        assert!(text.contains(&format!("\nSubject: {subject}\n")), "{mailbox}: {text}");
        assert!(text.ends_with("\n\nbody\n"), "{mailbox}: {text}");
    }
    let sent = site.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(
        sent[0].starts_with("-i -f bob@example.com -- out@example.net\n"),
        "{sent:?}"
    );
    assert!(
        sent[0].contains("\nSubject: first\n") && !sent[0].contains("Received:"),
        "{sent:?}"
    );
    let piped = site.files("piped");
    assert_eq!(piped, [CAME.replace("as it came", "second")]);
    // The same message again: it is the same delivery, whatever its editions are now.
    for actions in [
        plan(),
        vec![edited(keep(), &edition("third"))],
        vec![Planned::new(fileinto("E"))],
    ] {
        assert_again(&site.carry_out(actions));
    }
    assert_eq!(
        (site.sent().len(), site.files("piped").len(), site.texts("E").len()),
        (1, 1, 0)
    );
    site.check();
}

/// Anybody of example.org.
pub(super) fn residents(quota: Quota) -> directory::Options {
    directory::Options {
        source: directory::Source::Static {
            users: None,
            passwords: None,
        },
        domains: vec!["example.org".to_owned()],
        delimiters: "+".to_owned(),
        case_sensitive: false,
        postmaster: None,
        quota,
    }
}

#[test]
fn who_lives_here_is_told_at_once_unless_there_must_be_room() {
    let mut site = Site::new();
    let (ann, nobody) = (address("ann+x@example.org"), address("ann@example.com"));
    for to in [&ann, &nobody] {
        let told = site.sorter.resolve_at_once(to).unwrap();
        assert_eq!(told.ok(), site.sorter.resolve(to, &ReversePath::Null, 0).ok());
    }
    let limited = Quota {
        bytes: Some(1),
        ..Quota::default()
    };
    site.sorter.directory = directory::open(&residents(limited), site.folder.path()).unwrap();
    assert!(site.sorter.resolve_at_once(&ann).is_none());
    let told = site.sorter.resolve_at_once(&nobody);
    assert!(matches!(told, Some(Err(Outcome::Refused(Refusal::UnknownUser)))));
}

#[test]
fn of_editions_half_done_the_rest_is_done() {
    let site = Site::new();
    let account = site.account();
    account.create_mailbox(&name("A")).unwrap();
    let (message, reverse_path) = (&site.parcel.message, &site.parcel.envelope.reverse_path);
    let key = key::redelivery_key(message, reverse_path, &address("ann@example.org"));
    // A crash after the first copy, of which the file's name tells.
    let validity = account.status(&name("A")).unwrap().validity;
    account
        .put_step(key, &Step::Placed(validity), &DeliveryId::new())
        .unwrap();
    let first = edition("first");
    let plan = || {
        vec![
            edited(fileinto("A"), &first),
            Planned::new(keep()),
            edited(redirect("out@example.net"), &first),
        ]
    };
    assert_delivered(&site.carry_out(plan()), 1);
    assert_eq!(
        (site.texts("A").len(), site.texts("INBOX").len(), site.sent().len()),
        (0, 1, 1)
    );
    assert_again(&site.carry_out(plan()));
    assert_eq!(
        (site.texts("A").len(), site.texts("INBOX").len(), site.sent().len()),
        (0, 1, 1)
    );
    site.check();
}

#[test]
fn an_edition_that_does_not_fit_is_over_the_quota() {
    let mut site = Site::new();
    let large = Message::from_bytes(CAME.replace("body", &"x".repeat(10_000)));
    site.found.quota = Quota {
        bytes: Some(5_000),
        ..Quota::default()
    };
    let plan = || vec![Planned::new(keep()), edited(fileinto("A"), &large)];
    let outcome = site.carry_out(plan());
    assert!(matches!(outcome, Outcome::Refused(Refusal::OverQuota)), "{outcome:?}");
    assert!(site.texts("INBOX").is_empty() && site.texts("A").is_empty());
    site.found.quota.bytes = Some(12_000);
    assert_delivered(&site.carry_out(plan()), 2);
    site.check();
}

#[test]
fn a_refused_redirect_of_an_edition_keeps_what_came() {
    let site = Site::new();
    site.mark("refuse");
    let first = edition("first");
    assert_delivered(
        &site.carry_out(vec![
            edited(redirect("out@example.net"), &first),
            edited(fileinto("A"), &first),
        ]),
        2,
    );
    assert!(site.texts("A")[0].contains("Subject: first\n"));
    let inbox = site.texts("INBOX");
    assert_eq!(inbox.len(), 2, "a notice, and the message: {inbox:?}");
    assert!(
        inbox.iter().any(|text| text.contains("\nSubject: as it came\n")),
        "{inbox:?}"
    );
    site.check();
}

#[test]
fn a_mailbox_that_is_made_is_told_what_it_is_for() {
    let site = Site::new();
    let account = site.account();
    account.create_mailbox(&name("There")).unwrap();
    let special = |mailbox: &str, create| Action::FileInto {
        mailbox: name(mailbox),
        flags: Flags::new(),
        copy: false,
        create,
        special_use: Some(SpecialUse::Junk),
    };
    let outcome = site.carry_out(vec![
        Planned::new(special("There", true)),
        Planned::new(special("Spam", true)),
    ]);
    assert_delivered(&outcome, 2);
    let special_use = |mailbox: &str| account.status(&name(mailbox)).unwrap().special_use;
    assert_eq!(
        (special_use("Spam"), special_use("There")),
        (Some(SpecialUse::Junk), None)
    );
}

#[test]
fn a_program_takes_a_message_once() {
    let site = Site::new();
    site.program("take", "cat >>\"$1\"; echo \"$SENDER $RECIPIENT $USER $HOST\" >>\"$1\"");
    site.mark("later");
    // The redirect fails for now, behind two programs that have taken it.
    let plan = || {
        vec![
            Planned::new(pipe("take", &["a"])),
            Planned::new(pipe("take", &["b"])),
            Planned::new(redirect("out@example.net")),
        ]
    };
    let outcome = site.carry_out(plan());
    assert!(
        matches!(outcome, Outcome::Deferred(Deferral::Trouble(_))),
        "{outcome:?}"
    );
    site.unmark("later");
    let Outcome::Delivered {
        redirected, placements, ..
    } = site.carry_out(plan())
    else {
        panic!("it is delivered")
    };
    assert_eq!(redirected, ["out@example.net", "|take", "|take"]);
    assert!(placements.is_empty() && site.texts("INBOX").is_empty());
    let told = format!("{CAME}bob@example.com ann@example.org ann@example.org mx.example.org\n");
    assert_eq!(site.files("piped"), [told.clone(), told]);
    assert_again(&site.carry_out(plan()));
    assert_eq!(site.files("piped").len(), 2);
}

/// What a program took is delivered, and who asked is told; of what is only sent on it is said so.
#[test]
fn who_asks_hears_of_programs_and_redirects() {
    for (actions, told) in [
        (vec![pipe("take", &[])], Some("delivered")),
        (vec![pipe("take", &[]), redirect("far@example.net")], Some("delivered")),
        (vec![redirect("far@example.net")], Some("relayed")),
        (vec![Action::Discard], Some("delivered")),
    ] {
        let mut site = Site::new();
        site.program("take", "cat >taken");
        site.parcel.envelope.recipients[0].dsn.notify = Notify::parse("SUCCESS");
        assert_delivered(&site.carry_out(actions.into_iter().map(Planned::new).collect()), 0);
        let sent = site.sent();
        let status = sent
            .iter()
            .find_map(|text| text.split("\nAction: ").nth(1)?.split_whitespace().next());
        assert_eq!(status, told, "{sent:?}");
    }
}

#[test]
fn a_program_that_wants_it_later_gets_it_once() {
    let site = Site::new();
    site.program("first", "cat >first");
    site.program(
        "busy",
        "if test -e ../later; then echo full >&2; exit 75; fi; cat >busy",
    );
    site.mark("later");
    let plan = || {
        vec![
            Planned::new(pipe("first", &[])),
            Planned::new(pipe("busy", &[])),
            Planned::new(keep()),
        ]
    };
    for _ in 0..2 {
        let Outcome::Deferred(Deferral::Trouble(cause)) = site.carry_out(plan()) else {
            panic!("it is deferred")
        };
        assert!(
            cause.to_string().contains("busy") && cause.to_string().contains("full"),
            "{cause}"
        );
        assert!(site.texts("INBOX").is_empty());
        fs::write(site.folder.path().join("piped/first"), "once").unwrap();
    }
    site.unmark("later");
    assert_delivered(&site.carry_out(plan()), 1);
    let mut piped = site.files("piped");
    piped.sort();
    assert_eq!(piped, [CAME, "once"]);
}

#[test]
fn a_program_that_fails_loses_nothing() {
    for (action, inbox, told) in [
        (pipe("fails", &[]), 2, true),
        (pipe("missing", &[]), 2, true),
        (pipe("../sendmail", &[]), 2, true),
        (pipe("loud", &[]), 2, true),
        (attempt("fails"), 1, false),
    ] {
        let site = Site::new();
        site.program("fails", "echo broken >&2; exit 1");
        site.program("loud", "yes");
        assert_delivered(&site.carry_out(vec![Planned::new(action.clone())]), 1);
        let texts = site.texts("INBOX");
        assert_eq!(texts.len(), inbox, "{action:?}: {texts:?}");
        assert_eq!(texts.iter().any(|text| text.contains("pipe to")), told, "{action:?}");
        assert!(
            texts.iter().any(|text| text.contains("Subject: as it came")),
            "{action:?}"
        );
    }
    // Filed elsewhere, an attempt may fail without a copy; what is no attempt may not.
    for (action, inbox) in [(attempt("missing"), 0), (pipe("missing", &[]), 2)] {
        let site = Site::new();
        let copies = if inbox == 0 { 1 } else { 2 };
        assert_delivered(
            &site.carry_out(vec![Planned::new(action), Planned::new(fileinto("A"))]),
            copies,
        );
        assert_eq!((site.texts("INBOX").len(), site.texts("A").len()), (inbox, 1));
    }
    // Where the site has none, or does not let scripts pipe.
    for change in [
        |options: &mut Options| options.programs = None,
        |options: &mut Options| options.programs.as_mut().unwrap().pipe = false,
    ] {
        let site = Site::with(change);
        site.program("take", "cat >took");
        assert_delivered(&site.carry_out(vec![Planned::new(pipe("take", &[]))]), 1);
        assert!(site.files("piped").is_empty() && site.texts("INBOX").len() == 2);
    }
}

#[test]
fn a_copy_of_a_reply_is_filed_once_it_is_sent() {
    let site = Site::new();
    let plan = || {
        vec![
            Planned::new(keep()),
            Planned::new(vacation(Some(fcc("Sent", "\\Seen $Auto", true)))),
        ]
    };
    assert_delivered(&site.carry_out(plan()), 1);
    let (sent, filed) = (site.sent(), site.texts("Sent"));
    assert_eq!((sent.len(), filed.len()), (1, 1));
    // It is what was sent, byte for byte.
    assert_eq!(sent[0].split_once('\n').unwrap().1, filed[0]);
    assert!(
        filed[0].contains("\nAuto-Submitted: auto-replied (vacation)\n"),
        "{}",
        filed[0]
    );
    assert_eq!(site.flags("Sent"), ["\\Seen $Auto"]);
    assert_eq!(
        site.account().status(&name("Sent")).unwrap().special_use,
        Some(SpecialUse::Sent)
    );
    // Sent again: neither a second reply nor a second copy.
    assert_again(&site.carry_out(plan()));
    assert_eq!((site.sent().len(), site.texts("Sent").len()), (1, 1));
    site.check();
}

#[test]
fn nobody_is_answered_by_himself() {
    for (sender, replies) in [
        ("ann@example.org", 0),
        ("Ann+work@EXAMPLE.org", 0),
        ("eve@example.org", 1),
    ] {
        let site = Site::new();
        let plan = vec![Planned::new(keep()), Planned::new(vacation_to(sender, None))];
        assert_delivered(&site.carry_out(plan), 1);
        assert_eq!(site.sent().len(), replies, "{sender}");
    }
}

#[test]
fn no_copy_is_filed_of_what_was_not_sent() {
    let site = Site::new();
    site.mark("refuse");
    let reply = vacation(Some(fcc("INBOX", "", false)));
    assert_delivered(
        &site.carry_out(vec![Planned::new(fileinto("A")), Planned::new(reply)]),
        1,
    );
    assert!(site.sent().is_empty() && site.texts("INBOX").is_empty());
}

#[test]
fn a_copy_that_cannot_be_filed_harms_nothing() {
    for (fcc, quota) in [(fcc("Missing", "", false), None), (fcc("Sent", "", true), Some(600))] {
        let mut site = Site::new();
        site.found.quota.bytes = quota;
        let outcome = site.carry_out(vec![Planned::new(keep()), Planned::new(vacation(Some(fcc)))]);
        assert_delivered(&outcome, 1);
        assert_eq!(site.sent().len(), 1);
        assert!(site.texts("Missing").is_empty() && site.texts("Sent").is_empty());
        assert_eq!(site.texts("INBOX").len(), 1);
    }
}

#[test]
fn a_notification_goes_where_its_uri_says() {
    let site = Site::new();
    let notify = Action::Notify {
        method: "mailto:pager@example.net?cc=second@example.net&bcc=third@example.net&subject=New".to_owned(),
        addresses: vec![address("pager@example.net")],
        from: Some("Ann <ann+notify@example.org>".to_owned()),
        options: vec!["x=y".to_owned()],
        message: String::new(),
        importance: 1,
        fcc: Some(fcc("INBOX", "", false)),
    };
    assert_delivered(
        &site.carry_out(vec![Planned::new(fileinto("A")), Planned::new(notify)]),
        1,
    );
    let sent = site.sent();
    assert_eq!(sent.len(), 1);
    let (arguments, text) = sent[0].split_once('\n').unwrap();
    assert_eq!(
        arguments,
        "-i -f <> -- pager@example.net second@example.net third@example.net"
    );
    for line in [
        "From: Ann <ann+notify@example.org>",
        "To: <pager@example.net>",
        "Cc: <second@example.net>",
        "Subject: New",
        "Importance: high",
        "Auto-Submitted: auto-notified; owner-email=\"ann@example.org\"",
        "References: <1@example.com>",
    ] {
        assert!(text.contains(&format!("{line}\n")), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("third@") && !text.contains("In-Reply-To"), "{text}");
    assert_eq!(site.texts("INBOX"), [text]);
}

fn feedback(to: &str, headers_only: bool) -> Action {
    Action::Report(FeedbackReport {
        address: address(to),
        feedback_type: "abuse".to_owned(),
        message: "It slipped through.".to_owned(),
        headers_only,
    })
}

#[test]
fn a_report_holds_the_message_as_it_came() {
    for (headers_only, kind, held) in [
        (false, "message/rfc822", CAME),
        (true, "text/rfc822-headers", CAME.strip_suffix("\r\nbody\r\n").unwrap()),
    ] {
        let site = Site::new();
        let edited = edited(fileinto("A"), &edition("as it was made"));
        let report = Planned::new(feedback("desk@example.net", headers_only));
        assert_delivered(&site.carry_out(vec![report, edited]), 1);
        let sent = site.sent();
        assert_eq!(sent.len(), 1);
        let (arguments, text) = sent[0].split_once('\n').unwrap();
        assert_eq!(arguments, "-i -f <> -- desk@example.net");
        for line in [
            "From: Mail Delivery System <postmaster@example.org>",
            "To: <desk@example.net>",
            "Subject: FW: as it came",
            "Auto-Submitted: auto-generated (report)",
            "Feedback-Type: abuse",
            "Original-Mail-From: <bob@example.com>",
            "Original-Rcpt-To: <ann@example.org>",
            &format!("Content-Type: {kind}"),
        ] {
            assert!(
                format!("\n{text}").contains(&format!("\n{line}\n")),
                "no {line:?} in\n{text}"
            );
        }
        let held = held.replace("\r\n", "\n");
        assert!(text.contains(&format!("\n\n{held}\n--=_")), "{text}");
        assert_eq!(text.contains("\nbody\n"), !headers_only, "{text}");
        assert!(site.texts("A")[0].contains("as it was made"));
        // The MTA sends the message again.
        assert_again(&site.carry_out(vec![Planned::new(feedback("desk@example.net", headers_only))]));
        assert_eq!(site.sent().len(), 1);
    }
}

#[test]
fn a_report_goes_with_a_rejection() {
    let site = Site::new();
    let reject = Action::Reject {
        reason: "no".to_owned(),
        ereject: false,
    };
    let outcome = site.carry_out(vec![
        Planned::new(feedback("desk@example.net", true)),
        Planned::new(reject),
    ]);
    assert!(
        matches!(&outcome, Outcome::Refused(Refusal::Rejected(reason)) if reason == "no"),
        "{outcome:?}"
    );
    assert_eq!(site.sent().len(), 1);
    assert!(site.texts("INBOX").is_empty());
}

#[test]
fn a_report_that_cannot_be_sent_is_no_loss() {
    let site = Site::new();
    site.mark("refuse");
    let report = Planned::new(feedback("desk@example.net", false));
    assert_delivered(&site.carry_out(vec![report, Planned::new(keep())]), 1);
    assert_eq!((site.sent().len(), site.texts("INBOX").len()), (0, 1));
    // Nor is one that would come back: an address that only the directory knows.
    let site = Site::new();
    let report = Planned::new(feedback("ann+desk@example.org", false));
    assert_delivered(&site.carry_out(vec![report, Planned::new(keep())]), 1);
    assert_eq!((site.sent().len(), site.texts("INBOX").len()), (0, 1));
}

#[test]
fn redirects_have_the_sender_that_the_site_wants() {
    let srs = || RedirectSender::Srs(submission::Srs::new("srs.example.org", b"secret"));
    for (wanted, expected) in [
        (RedirectSender::Original, "bob@example.com"),
        (RedirectSender::Recipient, "ann@example.org"),
        (
            RedirectSender::Fixed(address("bounces@example.org")),
            "bounces@example.org",
        ),
        (srs(), "SRS0="),
    ] {
        let submitter = Submitter::new(submission::Options {
            route: Route::None,
            tls: Tls::None,
            timeout: Duration::from_secs(1),
            hostname: "mx.example.org".to_owned(),
            notices_from: address("postmaster@example.org"),
            redirect_sender: wanted,
        });
        let sender = |from: &str| {
            let from = ReversePath::Address(address(from));
            submitter
                .redirect_sender(&from, &address("ann@example.org"))
                .to_string()
        };
        assert!(sender("bob@example.com").starts_with(expected), "{expected}");
        let null = submitter.redirect_sender(&ReversePath::Null, &address("ann@example.org"));
        assert_eq!(null, ReversePath::Null);
        if expected == "SRS0=" {
            // What cannot be rewritten is the account's affair; what is at home needs none.
            assert_eq!(sender(&format!("{}@example.com", "x".repeat(60))), "ann@example.org");
            assert_eq!(sender("x@srs.example.org"), "x@srs.example.org");
        }
    }
}
