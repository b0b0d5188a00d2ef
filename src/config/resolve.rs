//! A text becomes a [`Config`]: sections read, then checked against one another.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Fault, invalid};
use super::reader::{Info, Reader, Section};
use super::sections::{ConfinementSettings, Kinds, Log, Main, ManageSieveSettings, QuotaMain, Submission, Tls, Who};
use super::{
    ClientCertificates, Config, DeliverySettings, ExpireRule, Limits, Listen, ListenAddress, ListenProtocol, ListenTls,
    QuotaMailbox, QuotaSettings,
};
use super::{
    HistorySettings, MailboxSettings, ProgramSettings, QuotaWarning, RedirectFrom, Relay, SearchSettings, SieveDomain,
    SieveEngine, SieveLimits, SieveSettings, StoreSettings, SubmissionSettings, TlsSettings,
};
use super::{SpamHeaders, VirusHeaders, scanner};
use crate::directory::{self, OpenError, Source};
use crate::mail::{Address, Quota, QuotaEffect, QuotaRule};
use crate::telemetry;

/// Reads a text whose relative paths count from `folder`.
pub(super) fn resolve(text: &str, name: &str, folder: &Path) -> Result<Config, ConfigError> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors.iter().map(syntax).collect();
    // What the parser made of a broken text would only lead to more complaints.
    if faults.is_empty() {
        let file = File {
            table: table.get_ref(),
            folder,
        };
        if let Some(config) = file.config(&mut faults).filter(|_| faults.is_empty()) {
            return Ok(config);
        }
    }
    Err(invalid(name, text, faults))
}

fn syntax(error: &toml::de::Error) -> Fault {
    Fault {
        line: 0,
        what: format!("this is not TOML: {}", error.message()),
        help: None,
        span: error.span().unwrap_or(0..0),
    }
}

struct File<'a> {
    table: &'a DeTable<'a>,
    folder: &'a Path,
}

impl<'a> File<'a> {
    fn config(&self, faults: &mut Vec<Fault>) -> Option<Config> {
        let main = Main::read(&mut Reader::new(
            Main::INFO,
            Some(self.table),
            0..0,
            self.folder,
            faults,
        ));
        let tls = self.section(Tls::INFO, faults, tls);
        let listen = self.listen(faults, tls.as_ref().is_none_or(Option::is_some));
        let root = main.as_ref().map(|main| main.root.as_path());
        let quota = self.quota(faults);
        let rules = quota.iter().flat_map(|quota| &quota.mailboxes).map(rule).collect();
        let directory = self.section(Who::INFO, faults, |reader| who(reader, root, rules));
        let sieve = self.section(SieveSettings::INFO, faults, sieve);
        let sieve_limits = self.section(SieveLimits::INFO, faults, SieveLimits::read);
        let sieve_domains = self.repeated(faults, check_domain);
        let programs = self.section(ProgramSettings::INFO, faults, ProgramSettings::read);
        let spam = self.section(SpamHeaders::INFO, faults, scanner::spam);
        let virus = self.section(VirusHeaders::INFO, faults, scanner::virus);
        let hostname = main
            .as_ref()
            .map(|main| main.hostname.clone().unwrap_or_else(system_name));
        let submission = self.section(Submission::INFO, faults, |reader| {
            submission(reader, hostname.as_deref())
        });
        let limits = self.section(Limits::INFO, faults, Limits::read);
        let managesieve = self.section(ManageSieveSettings::INFO, faults, ManageSieveSettings::read);
        let store = self.section(StoreSettings::INFO, faults, store);
        let mailboxes = self.section(MailboxSettings::INFO, faults, MailboxSettings::read);
        let search = self.section(SearchSettings::INFO, faults, SearchSettings::read);
        let history = self.section(HistorySettings::INFO, faults, HistorySettings::read);
        let delivery = self.section(DeliverySettings::INFO, faults, DeliverySettings::read);
        let expire = self.repeated(faults, check_expiry);
        let confinement = self.section(ConfinementSettings::INFO, faults, ConfinementSettings::read);
        let log = self.section(Log::INFO, faults, Log::read);
        let (main, log) = (main?, log?);
        Some(Config {
            hostname: hostname?,
            root: main.root,
            user: main.user,
            group: main.group,
            listen,
            directory: directory?,
            sieve: sieve?,
            sieve_limits: sieve_limits?,
            sieve_domains,
            programs: programs?,
            spam: spam?,
            virus: virus?,
            submission: submission?,
            limits: limits?,
            tls: tls?,
            managesieve: managesieve?,
            store: store?,
            mailboxes: mailboxes?,
            search: search?,
            history: history?,
            delivery: delivery?,
            quota: quota?,
            expire,
            confinement: confinement?,
            log: telemetry::Options {
                format: log.format,
                level: log.level,
            },
        })
    }

    /// Reads one section, which may be absent.
    fn section<R>(
        &self,
        info: Info,
        faults: &mut Vec<Fault>,
        read: impl FnOnce(&mut Reader<'_>) -> Option<R>,
    ) -> Option<R> {
        let (table, span) = match self.find(info.name) {
            None => (None, 0..0),
            Some((span, DeValue::Table(table))) => (Some(table), span),
            Some((span, _)) => {
                faults.push(not_a_section(info, span));
                return None;
            }
        };
        read(&mut Reader::new(info, table, span, self.folder, faults))
    }

    fn listen(&self, faults: &mut Vec<Fault>, has_certificate: bool) -> Vec<Listen> {
        self.repeated(faults, |reader, door, others| {
            check_door(reader, door, others);
            check_peers(reader, door);
            check_tls(reader, door, has_certificate);
        })
    }

    fn quota(&self, faults: &mut Vec<Fault>) -> Option<QuotaSettings> {
        let main = self.section(QuotaMain::INFO, faults, QuotaMain::read);
        let mailboxes = self.repeated(faults, check_rule);
        let warnings = self.repeated(faults, check_warning);
        Some(QuotaSettings {
            maildirsize: main?.maildirsize,
            mailboxes,
            warnings,
        })
    }

    /// Reads a section that may stand there several times; `check` gets each with those before it.
    fn repeated<S: Section>(&self, faults: &mut Vec<Fault>, check: impl Fn(&mut Reader<'_>, &S, &[S])) -> Vec<S> {
        let Some((span, value)) = self.find(S::INFO.name) else {
            return Vec::new();
        };
        let Some(sections) = value.as_array() else {
            faults.push(not_a_section(S::INFO, span));
            return Vec::new();
        };
        let mut known: Vec<S> = Vec::new();
        for section in sections.iter() {
            let DeValue::Table(table) = section.get_ref() else {
                faults.push(not_a_section(S::INFO, section.span()));
                continue;
            };
            let mut reader = Reader::new(S::INFO, Some(table), section.span(), self.folder, faults);
            if let Some(read) = S::read(&mut reader) {
                check(&mut reader, &read, &known);
                known.push(read);
            }
        }
        known
    }

    // The name `a.b` is that of `b` in the section `a`.
    fn find(&self, name: &str) -> Option<(Range<usize>, &'a DeValue<'a>)> {
        let mut table = self.table;
        let (above, name) = name.rsplit_once('.').unwrap_or(("", name));
        for level in above.split('.').filter(|level| !level.is_empty()) {
            let (_, value) = table.iter().find(|(key, _)| key.get_ref() == level)?;
            table = value.get_ref().as_table()?;
        }
        let found = table.iter().find(|(key, _)| key.get_ref() == name);
        found.map(|(key, value)| (key.span(), value.get_ref()))
    }
}

fn not_a_section(info: Info, span: Range<usize>) -> Fault {
    let heading = info.heading();
    Fault {
        line: 0,
        what: format!("`{}` must be a section", info.name),
        help: Some(format!("write {heading} on a line of its own, and its settings below")),
        span,
    }
}

fn check_door(reader: &mut Reader<'_>, listen: &Listen, others: &[Listen]) {
    if others.iter().any(|other| other.address == listen.address) {
        let what = format!("{} is listened on already", listen.address);
        reader.wrong("address", what, "give every [[listen]] an address of its own");
    }
    let address = match &listen.address {
        ListenAddress::Tcp(address) => Some(address),
        ListenAddress::Systemd(_) => None,
        ListenAddress::Unix(_) => return,
    };
    // RFC 2033 §5: LMTP must not be on port 25, where others expect SMTP.
    if listen.protocol == ListenProtocol::Lmtp && address.is_some_and(|address| address.port() == 25) {
        let help = "take another port, such as 24, or protocol = \"smtp\"";
        reader.wrong("address", "LMTP must not listen on TCP port 25 (RFC 2033 §5)", help);
    }
    for key in ["owner", "group"] {
        if reader.has(key) {
            let what = format!("`{key}` is for Unix sockets alone");
            reader.wrong(key, what, "leave it out, or write address = \"unix:/path\"");
        }
    }
}

fn check_peers(reader: &mut Reader<'_>, listen: &Listen) {
    if listen.proxy && listen.trusted.is_empty() {
        let what = "`proxy` needs to know the proxies";
        reader.wrong(
            "proxy",
            what,
            "write trusted = [\"192.0.2.1\"], or [\"unix\"] for a Unix socket",
        );
    }
}

fn check_tls(reader: &mut Reader<'_>, listen: &Listen, has_certificate: bool) {
    if listen.tls == ListenTls::None {
        return;
    }
    if listen.protocol == ListenProtocol::ManageSieve {
        let what = "`tls` is for LMTP and SMTP: a ManageSieve door has STARTTLS with [tls]";
        reader.wrong(
            "tls",
            what,
            "leave it out; [managesieve] plaintext = \"never\" demands it",
        );
    } else if !has_certificate {
        let help = "write certificate and key in [tls]";
        reader.wrong("tls", "there is no certificate for TLS", help);
    }
}

fn rule(mailbox: &QuotaMailbox) -> QuotaRule {
    let effect = match mailbox.ignore {
        true => QuotaEffect::Ignore,
        false => QuotaEffect::Extra {
            bytes: mailbox.extra.unwrap_or_default(),
            messages: mailbox.extra_messages.unwrap_or_default(),
        },
    };
    QuotaRule {
        mailboxes: mailbox.name.clone(),
        effect,
    }
}

fn check_rule(reader: &mut Reader<'_>, rule: &QuotaMailbox, others: &[QuotaMailbox]) {
    if others.iter().any(|other| other.name == rule.name) {
        let what = format!("{} has a rule already, and the first counts", rule.name);
        reader.wrong("name", what, "leave one of them out");
    }
    let extra = rule.extra.is_some() || rule.extra_messages.is_some();
    match (rule.ignore, extra) {
        (true, true) => {
            let what = "a mailbox that is ignored needs no extra";
            reader.wrong("ignore", what, "leave one of them out");
        }
        (false, false) => {
            let what = "the rule says nothing";
            reader.wrong("name", what, "write extra, extra_messages or ignore = true");
        }
        _ => {}
    }
}

fn sieve(reader: &mut Reader<'_>) -> Option<SieveSettings> {
    let sieve = SieveSettings::read(reader)?;
    if sieve.engine == SieveEngine::SieveRs && !cfg!(feature = "sieve-rs") {
        let what = "this postroom is built without sieve-rs";
        reader.wrong("engine", what, "leave it out, or build with --features sieve-rs");
    }
    Some(sieve)
}

fn check_domain(reader: &mut Reader<'_>, domain: &SieveDomain, others: &[SieveDomain]) {
    let is_same = |other: &SieveDomain| other.name.eq_ignore_ascii_case(&domain.name);
    if others.iter().any(is_same) {
        let what = format!("{} has a section already", domain.name);
        reader.wrong("name", what, "write all its scripts in one");
    }
}

fn check_expiry(reader: &mut Reader<'_>, rule: &ExpireRule, others: &[ExpireRule]) {
    if others.iter().any(|other| other.mailbox == rule.mailbox) {
        let what = format!("{} has a rule already, and the first counts", rule.mailbox);
        reader.wrong("mailbox", what, "leave one of them out");
    }
}

fn check_warning(reader: &mut Reader<'_>, warning: &QuotaWarning, _: &[QuotaWarning]) {
    match warning.command.first() {
        Some(program) if !Path::new(program).is_absolute() => {
            let what = "the program of `command` must be a whole path";
            reader.wrong("command", what, "write [\"/usr/local/bin/quota-warning\", \"{user}\"]");
        }
        None if !warning.message => {
            let what = "the warning does nothing";
            reader.wrong("message", what, "write a command, or leave message = false out");
        }
        _ => {}
    }
}

fn who(reader: &mut Reader<'_>, root: Option<&Path>, rules: Vec<QuotaRule>) -> Option<directory::Options> {
    let who = Who::read(reader)?;
    for (key, kind, word) in [
        ("users", Kinds::Static, "static"),
        ("passwords", Kinds::Static, "static"),
        ("file", Kinds::Table, "table"),
    ] {
        if who.kind != kind && reader.has(key) {
            let what = format!("`{key}` is for kind = \"{word}\" alone");
            reader.wrong(key, what, "leave it out, or change the kind");
        }
    }
    let source = match who.kind {
        Kinds::Static => Source::Static {
            users: who.users,
            passwords: who.passwords,
        },
        Kinds::Passwd => Source::Passwd {
            minimum_uid: who.minimum_uid,
        },
        Kinds::Table => match who.file {
            Some(file) => Source::Table {
                file,
                format: who.format,
            },
            None => {
                reader.wrong(
                    "kind",
                    "a table needs its file",
                    "write file = \"/etc/postroom/users.toml\"",
                );
                return None;
            }
        },
    };
    let options = directory::Options {
        source,
        domains: who.domains,
        delimiters: who.delimiters,
        case_sensitive: who.case_sensitive,
        postmaster: who.postmaster,
        quota: Quota {
            bytes: who.quota,
            messages: who.quota_messages,
            rules,
        },
    };
    check_static(reader, &options, root?);
    Some(options)
}

// A static directory reads nothing, so it can be tried at once.
fn check_static(reader: &mut Reader<'_>, options: &directory::Options, root: &Path) {
    if !matches!(options.source, Source::Static { .. }) {
        return;
    }
    match directory::Static::open(options, root) {
        Ok(_) => {}
        Err(OpenError::NoDomains) => {
            let help = "write domains = [\"example.org\"] in [directory]";
            reader.wrong("domains", "nobody gets mail: there are no domains", help);
        }
        Err(error @ OpenError::User(_)) => {
            let help = "write a local part, or an address in one of `domains`";
            reader.wrong("users", error.to_string(), help);
        }
        Err(error @ OpenError::Postmaster(_)) => {
            reader.wrong(
                "postmaster",
                error.to_string(),
                "write the address of a user who reads it",
            );
        }
        Err(error) => reader.wrong("domains", error.to_string(), "write a domain, such as \"example.org\""),
    }
}

fn submission(reader: &mut Reader<'_>, hostname: Option<&str>) -> Option<SubmissionSettings> {
    let written = Submission::read(reader)?;
    let complete = written.srs_domain.is_some() && written.srs_secret_file.is_some();
    if written.redirect_sender == RedirectFrom::Srs && !complete {
        let help = "write srs_domain = \"srs.example.org\" and srs_secret_file = \"/etc/postroom/srs-secret\"";
        reader.wrong("redirect_sender", "rewriting senders needs a domain and a secret", help);
    }
    let relay = match (written.server, written.sendmail) {
        (Some(_), Some(_)) => {
            let what = "`server` and `sendmail` cannot both be set";
            reader.wrong("sendmail", what, "leave one of them out");
            return None;
        }
        (Some(address), None) => Relay::Server {
            address,
            tls: written.tls,
            ca_file: written.ca_file,
        },
        (None, Some(program)) => Relay::Sendmail(program),
        (None, None) => Relay::None,
    };
    let postmaster = || Address::parse(&format!("postmaster@{}", hostname?)).ok();
    Some(SubmissionSettings {
        relay,
        timeout: written.timeout,
        notices_from: written.notices_from.or_else(postmaster)?,
        redirect_sender: written.redirect_sender,
        srs_domain: written.srs_domain,
        srs_secret_file: written.srs_secret_file,
    })
}

fn tls(reader: &mut Reader<'_>) -> Option<Option<TlsSettings>> {
    let written = Tls::read(reader)?;
    if written.client_certificates != ClientCertificates::None && written.client_ca.is_none() {
        let help = "write client_ca = \"/etc/postroom/clients-ca.pem\"";
        reader.wrong("client_certificates", "it takes an authority to check them by", help);
    }
    match (written.certificate, written.key) {
        (Some(certificate), Some(key)) => Some(Some(TlsSettings {
            certificate,
            key,
            client_certificates: written.client_certificates,
            client_ca: written.client_ca,
            handshake_timeout: written.handshake_timeout,
        })),
        (None, None) => Some(None),
        (certificate, _) => {
            let (has, misses) = match certificate {
                Some(_) => ("certificate", "key"),
                None => ("key", "certificate"),
            };
            let what = format!("`{has}` needs its `{misses}`");
            reader.wrong(
                has,
                what,
                &format!("write {misses} = \"/etc/ssl/private/mx.example.org.pem\""),
            );
            None
        }
    }
}

fn store(reader: &mut Reader<'_>) -> Option<StoreSettings> {
    let store = StoreSettings::read(reader)?;
    for (key, mode, least) in [
        ("folder_mode", store.folder_mode, 0o700),
        ("file_mode", store.file_mode, 0o600),
    ] {
        if mode & least != least {
            let what = format!("with `{key}` = \"{mode:04o}\" the owner could not use his own mail");
            reader.wrong(key, what, &format!("write at least \"{least:04o}\""));
        }
    }
    Some(store)
}

/// The system's own name, where it can stand in an address.
fn system_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let usable = |name: &String| Address::parse(&format!("postmaster@{name}")).is_ok();
    name.filter(usable).unwrap_or_else(|| "localhost".to_owned())
}
