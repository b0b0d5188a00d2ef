//! A case on Pigeonhole's `sieve-test`, with a configuration and folders of its own.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::{Case, MAILBOXES};
use super::outcome::{Effects, Outcome, Vacation, mailbox, shown};
use crate::support::place::{Place, is_root};

/// The extensions that Pigeonhole has and does not offer unless told.
const EXTENSIONS: &str = "+editheader +spamtest +spamtestplus +virustest +vacation-seconds +special-use \
    +vnd.dovecot.report";

/// Where `sieve-test` finds what it needs. For one case at a time: scripts to include lie in its home.
pub struct Pigeonhole {
    place: Place,
    configuration: PathBuf,
    runs: Cell<usize>,
}

impl Pigeonhole {
    pub fn new() -> Pigeonhole {
        let place = Place::new();
        for name in ["", "home", "home/sieve", "global"] {
            everyone(&place.folder(name));
        }
        let configuration = place.file("dovecot.conf", configuration(&place));
        Pigeonhole {
            place,
            configuration,
            runs: Cell::new(0),
        }
    }

    /// What it does with the case, and what it printed. Of one script it is asked what it would do; several are
    /// carried out, since what one does changes the next.
    pub fn outcome(&self, case: &Case) -> (Outcome, String) {
        // The compiled script is kept beside it: no two runs may share a name.
        self.runs.set(self.runs.get() + 1);
        let run = format!("scripts/{}", self.runs.get());
        let folder = self.place.folder(&run);
        everyone(&folder);
        self.write(&run, case);
        let mail = self.mailboxes(&run);
        let mut command = Command::new("sieve-test");
        command
            .current_dir(&folder)
            .args(["-C", "-x", EXTENSIONS, "-c"])
            .arg(&self.configuration);
        command.args(["-f", case.sender, "-a", case.recipient, "-r", case.recipient]);
        command.arg("-l").arg(format!("maildir:{}", mail.display()));
        for number in 0..case.before.len() {
            command.args(["-s", &format!("before{number}.sieve")]);
        }
        if !case.before.is_empty() {
            command.arg("-e");
        }
        let output = command.args(["main.sieve", "message"]).output().expect("sieve-test");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let ended = if output.status.signal().is_some() {
            Some(Outcome::Broken)
        } else {
            ended(&printed, &errors)
        };
        let outcome = ended.unwrap_or_else(|| {
            Outcome::Done(if case.before.is_empty() {
                would_do(&printed)
            } else {
                did(&mail, &errors)
            })
        });
        fs::remove_dir_all(&folder).expect("the folder goes away");
        (outcome, format!("{printed}{errors}"))
    }

    fn write(&self, run: &str, case: &Case) {
        let file = |name: String, text: &[u8]| self.place.file(&format!("{run}/{name}"), text);
        file("message".to_owned(), &case.message.bytes());
        file("main.sieve".to_owned(), case.text().as_bytes());
        for (number, text) in case.texts_before().iter().enumerate() {
            file(format!("before{number}.sieve"), text.as_bytes());
        }
        for folder in ["home/sieve", "global"] {
            fs::remove_dir_all(self.place.path(folder)).expect("the scripts of the last case go away");
            everyone(&self.place.folder(folder));
        }
        for (name, text) in case.texts_included() {
            for folder in ["home/sieve", "global"] {
                self.place.file(&format!("{folder}/{name}.sieve"), &text);
            }
        }
    }

    /// The account's mailboxes.
    fn mailboxes(&self, run: &str) -> PathBuf {
        let root = self.place.folder(&format!("{run}/Maildir"));
        everyone(&root);
        for name in MAILBOXES {
            everyone(&self.place.folder(&format!("{run}/Maildir/.{name}")));
            for inner in ["cur", "new", "tmp"] {
                everyone(&self.place.folder(&format!("{run}/Maildir/.{name}/{inner}")));
            }
        }
        root
    }
}

fn everyone(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("permissions");
}

fn configuration(place: &Place) -> String {
    let base = place.path("");
    let base = base.display().to_string();
    let base = base.trim_end_matches('/');
    // As root it wants another user to become.
    let user = if is_root() {
        "mail_uid = nobody\nmail_gid = nogroup\nfirst_valid_gid = 1\n"
    } else {
        ""
    };
    format!(
        "log_path = /dev/stderr\nmail_home = {base}/home\nfirst_valid_uid = 1\nssl = no\n{user}hostname = mx.example.org\nrecipient_delimiter = +\nplugin {{\n\
         sieve = file:{base}/home/sieve\nsieve_global = {base}/global\nsieve_max_redirects = 4\n\
         sieve_max_actions = 0\nsieve_user_email = me@example.org\nrecipient_delimiter = +\n\
         sieve_vacation_min_period = 1s\nsieve_vacation_max_period = 365d\n}}\n"
    )
}

/// How it ended, where not well.
fn ended(printed: &str, errors: &str) -> Option<Outcome> {
    if errors.contains("ailed to compile sieve script") {
        return Some(Outcome::Refused);
    }
    // A script of its own making that it cannot read counts as one, too.
    if errors.contains("Panic: ") || errors.contains("corrupt binary") {
        return Some(Outcome::Broken);
    }
    if errors.contains("final result: failed") {
        return Some(Outcome::Failed);
    }
    assert!(
        errors.contains("final result: success"),
        "sieve-test said something else:\n{printed}{errors}"
    );
    None
}

/// What it says that it would do.
fn would_do(printed: &str) -> Effects {
    let mut reader = Reader {
        lines: printed.lines().collect(),
        at: 0,
    };
    let mut effects = Effects::default();
    while let Some(line) = reader.next() {
        if let Some(action) = line.strip_prefix(" * ") {
            reader.action(action, &mut effects);
        }
    }
    effects
}

/// What it did: the files, and what it says of redirects.
fn did(mail: &Path, errors: &str) -> Effects {
    let mut effects = Effects::default();
    for name in ["INBOX"].iter().chain(&MAILBOXES) {
        let folder = if *name == "INBOX" {
            mail.to_owned()
        } else {
            mail.join(format!(".{name}"))
        };
        let keywords = fs::read_to_string(mail.join("dovecot-keywords")).unwrap_or_default();
        let own = fs::read_to_string(folder.join("dovecot-keywords")).unwrap_or(keywords);
        for inner in ["new", "cur"] {
            for entry in fs::read_dir(folder.join(inner)).into_iter().flatten() {
                let file = entry.expect("an entry").file_name().into_string().expect("a name");
                let flags = effects.filed.entry((*name).to_owned()).or_default();
                let letters = file.split_once(":2,").map_or("", |(_, letters)| letters);
                flags.extend(letters.chars().map(|letter| flag(letter, &own)));
            }
        }
    }
    let forwarded = errors.lines().filter_map(|line| line.split_once("forwarded to <"));
    let addresses = forwarded.filter_map(|(_, rest)| rest.split_once('>'));
    effects.redirected = addresses.map(|(address, _)| address.to_lowercase()).collect();
    effects
}

/// A flag by its letter in a file's name; `a` is the keyword of number 0.
fn flag(letter: char, keywords: &str) -> String {
    let number = u32::from(letter).wrapping_sub(u32::from('a'));
    let keyword = keywords
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{number} ")));
    let system = match letter {
        'S' => "\\seen",
        'F' => "\\flagged",
        'R' => "\\answered",
        'T' => "\\deleted",
        'D' => "\\draft",
        _ => keyword.unwrap_or("?"),
    };
    system.to_lowercase()
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at).copied();
        self.at += 1;
        line
    }

    fn peek(&self) -> &'a str {
        self.lines.get(self.at).copied().unwrap_or_default()
    }

    /// The text up to the line that begins with `end`, which is passed over.
    fn until(&mut self, first: &str, end: &str) -> String {
        let mut text = first.to_owned();
        while let Some(line) = self.next() {
            if line.starts_with(end) {
                break;
            }
            text.push('\n');
            text.push_str(line);
        }
        text
    }

    fn action(&mut self, action: &str, effects: &mut Effects) {
        if let Some(name) = action.strip_prefix("store message in folder: ") {
            self.filed(&mailbox(name), effects);
        } else if let Some(address) = action.strip_prefix("redirect message to: ") {
            let address = address.trim_matches(['<', '>']).to_lowercase();
            effects.redirected.insert(address);
        } else if let Some(reason) = action.strip_prefix("reject message with reason: ") {
            effects.rejected = Some(shown(reason).replace("??", "?"));
        } else if let Some(report) = action.strip_prefix("report incoming message as `") {
            let (kind, address) = report.split_once("' to: <").expect("a type and an address");
            let address = address.trim_end_matches('>').to_lowercase();
            effects.reported.insert((address, kind.to_owned()));
        } else if action.starts_with("send notification") {
            self.notified(effects);
        } else if action.starts_with("send vacation message") {
            self.vacation(effects);
        } else {
            // The message is not touched by these.
            let known = action == "discard"
                || action.starts_with("track duplicate")
                || action.starts_with("track last duplicate");
            assert!(known, "an action that this test does not know: {action}");
        }
    }

    fn filed(&mut self, name: &str, effects: &mut Effects) {
        let flags = effects.filed.entry(name.to_owned()).or_default();
        while let Some(line) = self.peek().strip_prefix("        + ") {
            self.at += 1;
            if let Some(names) = line.strip_prefix("add IMAP flags: ") {
                flags.extend(names.split(' ').map(str::to_lowercase));
            } else if line.starts_with("create mailbox") {
                effects.created.insert(name.to_owned());
            }
        }
    }

    fn notified(&mut self, effects: &mut Effects) {
        let mut importance = 2;
        let mut message = String::new();
        while let Some(line) = self.next() {
            if let Some(number) = line.strip_prefix("    => importance   : ") {
                importance = number.parse().expect("an importance");
            } else if let Some(first) = line.strip_prefix("    => subject      : ") {
                message = self.until(first, "    => recipients   :");
                break;
            } else if line.starts_with("    => recipients   :") {
                break;
            }
        }
        while let Some(address) = self.peek().trim_start().strip_prefix("+ To: ") {
            self.at += 1;
            effects.notified.push((address.to_owned(), importance, message.clone()));
        }
    }

    fn vacation(&mut self, effects: &mut Effects) {
        let (mut seconds, mut subject) = (0, None);
        while let Some(line) = self.next() {
            if let Some(number) = line.strip_prefix("    => seconds : ") {
                seconds = number.parse().expect("seconds");
            } else if let Some(text) = line.strip_prefix("    => subject : ") {
                subject = Some(text.to_owned());
            } else if line == "START MESSAGE" {
                break;
            }
        }
        let message = self.until("", "END MESSAGE");
        effects.vacation = Some(Vacation::Reply {
            subject,
            message: message.strip_prefix('\n').unwrap_or(&message).to_owned(),
            seconds,
        });
    }
}
