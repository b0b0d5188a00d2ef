//! The settings as text: resolved, as an example, and as a page of reference.

use std::fmt::Write;
use std::time::Duration;

use super::reader::{Info, Section, Setting};
use super::sections::{ClientCertificates, Kinds, Log, Main, QuotaMain, SECTIONS, Submission, Tls, Who};
use super::{Config, Relay, SubmissionTls};
use crate::directory::{Source, TableFormat};

/// The longest line of comment.
const WIDTH: usize = 88;

/// The example file: what most sites set, and everything else in comments with its default.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# The configuration of postroom: /etc/postroom/postroom.toml\n#\n\
         # What stands behind `#` without a space is the default, or an example where there\n\
         # is none. `postroom config check` checks the file, `postroom config reference`\n\
         # prints what is known about each setting.\n",
    );
    for section in SECTIONS {
        text.push('\n');
        comment(&mut text, section.about);
        if !section.name.is_empty() {
            line(&mut text, &section.heading());
        }
        for setting in section.settings {
            text.push('\n');
            comment(&mut text, setting.about);
            line(&mut text, &example_of(setting));
        }
    }
    text
}

fn example_of(setting: &Setting) -> String {
    let key = setting.key;
    match (setting.set, setting.default.or(setting.shown)) {
        (Some(value), _) => format!("{key} = {value}"),
        (None, Some(value)) => format!("#{key} = {value}"),
        // A test keeps such a setting from being described.
        (None, None) => format!("#{key} ="),
    }
}

/// The page of reference, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\nOne TOML file, `/etc/postroom/postroom.toml` or the one named by `--config`. Sizes are\n\
         written with a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`) or as a number of\n\
         bytes, times with a unit (`ms`, `s`, `min`, `h`, `d`) or as a number of seconds.\n\
         `postroom config show` prints what is in force.\n",
    );
    for section in SECTIONS {
        let heading = if section.name.is_empty() {
            "The top of the file".to_owned()
        } else {
            format!("`{}`", section.heading())
        };
        let _ = write!(text, "\n## {heading}\n\n{}\n", paragraphs(section.about).join("\n\n")); // cannot fail
        for setting in section.settings {
            entry(&mut text, section, setting);
        }
    }
    text
}

fn entry(text: &mut String, section: &Info, setting: &Setting) {
    let key = match (section.name, section.repeated) {
        ("", _) => setting.key.to_owned(),
        (name, true) => format!("{name}[].{}", setting.key),
        (name, false) => format!("{name}.{}", setting.key),
    };
    let default = match setting.default {
        Some(value) => format!("`{value}`"),
        None if (setting.required)() => "none; it must be set".to_owned(),
        None => "not set".to_owned(),
    };
    let about = paragraphs(setting.about).join("\n\n");
    let expected = (setting.expected)();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n### `{key}`\n\n{about}\n\n- Value: {expected}\n- Default: {default}\n"
    );
    if let Some(value) = setting.set.or(setting.shown) {
        let _ = writeln!(text, "- Example: `{} = {value}`", setting.key);
    }
}

/// The settings in force, as a file that is read back to the same.
pub(super) fn config(config: &Config) -> String {
    let mut text = String::new();
    block(&mut text, &main_of(config));
    for listen in &config.listen {
        block(&mut text, listen);
    }
    block(&mut text, &who_of(config));
    block(&mut text, &config.sieve);
    block(&mut text, &config.sieve_limits);
    for domain in &config.sieve_domains {
        block(&mut text, domain);
    }
    block(&mut text, &config.programs);
    block(&mut text, &config.spam);
    block(&mut text, &config.virus);
    block(&mut text, &submission_of(config));
    block(&mut text, &config.limits);
    block(&mut text, &tls_of(config));
    block(&mut text, &config.managesieve);
    block(&mut text, &config.store);
    block(&mut text, &config.mailboxes);
    block(&mut text, &config.search);
    block(&mut text, &config.history);
    block(&mut text, &config.delivery);
    block(
        &mut text,
        &QuotaMain {
            maildirsize: config.quota.maildirsize,
        },
    );
    for mailbox in &config.quota.mailboxes {
        block(&mut text, mailbox);
    }
    for warning in &config.quota.warnings {
        block(&mut text, warning);
    }
    for rule in &config.expire {
        block(&mut text, rule);
    }
    block(&mut text, &config.confinement);
    let log = Log {
        format: config.log.format,
        level: config.log.level,
    };
    block(&mut text, &log);
    text
}

fn block<S: Section>(text: &mut String, section: &S) {
    if !S::INFO.name.is_empty() {
        text.push('\n');
        line(text, &S::INFO.heading());
    }
    for setting in section.lines() {
        line(text, &setting);
    }
}

fn main_of(config: &Config) -> Main {
    Main {
        hostname: Some(config.hostname.clone()),
        root: config.root.clone(),
        user: config.user.clone(),
        group: config.group.clone(),
    }
}

fn who_of(config: &Config) -> Who {
    let options = &config.directory;
    let mut who = Who {
        kind: Kinds::Static,
        domains: options.domains.clone(),
        users: None,
        passwords: None,
        file: None,
        format: TableFormat::Auto,
        delimiters: options.delimiters.clone(),
        case_sensitive: options.case_sensitive,
        postmaster: options.postmaster.clone(),
        minimum_uid: 1000,
        quota: options.quota.bytes,
        quota_messages: options.quota.messages,
    };
    match &options.source {
        Source::Static { users, passwords } => {
            who.users.clone_from(users);
            who.passwords.clone_from(passwords);
        }
        Source::Table { file, format } => {
            who.kind = Kinds::Table;
            who.file = Some(file.clone());
            who.format = *format;
        }
        Source::Passwd { minimum_uid } => {
            who.kind = Kinds::Passwd;
            who.minimum_uid = *minimum_uid;
        }
    }
    who
}

fn tls_of(config: &Config) -> Tls {
    let tls = config.tls.as_ref();
    Tls {
        certificate: tls.map(|tls| tls.certificate.clone()),
        key: tls.map(|tls| tls.key.clone()),
        client_certificates: tls.map_or(ClientCertificates::None, |tls| tls.client_certificates),
        client_ca: tls.and_then(|tls| tls.client_ca.clone()),
        handshake_timeout: tls.map_or(Duration::from_secs(30), |tls| tls.handshake_timeout),
    }
}

fn submission_of(config: &Config) -> Submission {
    let settings = &config.submission;
    let mut written = Submission {
        server: None,
        sendmail: None,
        tls: SubmissionTls::Opportunistic,
        ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
        timeout: settings.timeout,
        notices_from: Some(settings.notices_from.clone()),
        redirect_sender: settings.redirect_sender.clone(),
        srs_domain: settings.srs_domain.clone(),
        srs_secret_file: settings.srs_secret_file.clone(),
    };
    match &settings.relay {
        Relay::None => {}
        Relay::Sendmail(program) => written.sendmail = Some(program.clone()),
        Relay::Server { address, tls, ca_file } => {
            written.server = Some(address.clone());
            written.tls = *tls;
            written.ca_file.clone_from(ca_file);
        }
    }
    written
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn comment(text: &mut String, about: &[&str]) {
    for (at, paragraph) in paragraphs(about).iter().enumerate() {
        if at > 0 {
            line(text, "#");
        }
        let mut written = String::from("#");
        for word in paragraph.split(' ') {
            if written.chars().count() + 1 + word.chars().count() > WIDTH {
                line(text, &std::mem::replace(&mut written, String::from("#")));
            }
            written.push(' ');
            written.push_str(word);
        }
        line(text, &written);
    }
}

/// The lines of a doc comment, joined to paragraphs.
fn paragraphs(about: &[&str]) -> Vec<String> {
    let blocks = about.split(|line| line.trim().is_empty());
    blocks
        .map(|lines| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
        .collect()
}
