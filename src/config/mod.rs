//! The settings: one TOML file, each room's options as written and as resolved.
//!
//! `cli` calls [`Config::find`] first of all. It ends in a [`Config`] whose values are
//! checked, or in a [`ConfigError`] that shows every faulty line with what was expected.
//! A setting is one field of `sections.rs` with its words and its default; the reference
//! and the example file are printed from there.

mod error;
mod kinds;
mod print;
mod reader;
mod resolve;
mod resolved;
mod scanner;
mod sections;
mod written;

use std::path::{Path, PathBuf};

use crate::{directory, telemetry};

pub use error::{ConfigError, Fault};
pub use print::{example, reference};
pub use resolved::{
    HostPort, ListenAddress, ListenProtocol, QuotaSettings, RedirectFrom, Relay, SubmissionSettings, TlsSettings,
};
pub use sections::{
    ClientCertificates, ConfinementSettings, DeliveredTo, DeliverySettings, ExpireRule, HistorySettings, Limits,
    Listen, ListenTls, MailboxSettings, ManageSieveSettings, OverQuota, Plaintext, ProgramSettings, ProgramUse,
    QuotaMailbox, QuotaWarning, ScanKind, SearchSettings, SieveDomain, SieveEngine, SieveLimits, SieveSettings,
    SpamHeaders, StoreSettings, SubmissionTls, VirusHeaders,
};
pub use written::{parse_age, show_age, show_period};

/// Where the file is looked for when none is named.
pub const DEFAULT_FILE: &str = "/etc/postroom/postroom.toml";

/// All settings, checked, with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of this host in replies and trace fields.
    pub hostname: String,
    /// Where homes lie that no directory gives.
    pub root: PathBuf,
    /// The user that `serve` becomes when started as root.
    pub user: Option<String>,
    /// The group that `serve` becomes when started as root; none: the user's.
    pub group: Option<String>,
    /// The doors; may be none, which `serve` must complain of.
    pub listen: Vec<Listen>,
    /// Who gets mail.
    pub directory: directory::Options,
    /// Scripts of the site.
    pub sieve: SieveSettings,
    /// Bounds of scripts.
    pub sieve_limits: SieveLimits,
    /// Scripts of single domains.
    pub sieve_domains: Vec<SieveDomain>,
    /// Programs that scripts may run.
    pub programs: ProgramSettings,
    /// What a scanner thought of a message, for `spamtest`.
    pub spam: SpamHeaders,
    /// The same for `virustest`.
    pub virus: VirusHeaders,
    /// How mail goes out.
    pub submission: SubmissionSettings,
    /// Bounds of input and load.
    pub limits: Limits,
    /// The certificate of this server.
    pub tls: Option<TlsSettings>,
    /// How users change their scripts.
    pub managesieve: ManageSieveSettings,
    /// How mail is kept.
    pub store: StoreSettings,
    /// The mailboxes of new accounts.
    pub mailboxes: MailboxSettings,
    /// Searching.
    pub search: SearchSettings,
    /// What is remembered of deliveries.
    pub history: HistorySettings,
    /// What a delivery does beside the filter.
    pub delivery: DeliverySettings,
    /// What there is to quotas beside the limits.
    pub quota: QuotaSettings,
    /// How long messages stay in mailboxes.
    pub expire: Vec<ExpireRule>,
    /// What the running server may still do.
    pub confinement: ConfinementSettings,
    /// The log.
    pub log: telemetry::Options,
}

/// What [`Config::embedded`] says; the rest are defaults.
const EMBEDDED: &str = r#"
root = "./postroom-data"

[[listen]]
protocol = "lmtp"
address = "127.0.0.1:2424"

[directory]
kind = "static"
domains = ["localhost", "example.org"]
"#;

impl Config {
    /// Reads a file. Relative paths in it count from the folder it lies in.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], or [`ConfigError::Invalid`] with all its faults.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            file: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let whole = std::path::absolute(path).map_err(unreadable)?;
        let folder = whole.parent().unwrap_or(Path::new("/"));
        resolve::resolve(&text, &path.display().to_string(), folder)
    }

    /// Reads a text; `name` stands in errors, and relative paths count from its folder.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all faults of the text.
    pub fn parse(text: &str, name: &str) -> Result<Config, ConfigError> {
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        resolve::resolve(text, name, folder)
    }

    /// The settings that need no file: LMTP on 127.0.0.1:2424, mail below ./postroom-data,
    /// any user of `localhost` and `example.org`.
    #[must_use]
    pub fn embedded() -> Config {
        match Config::parse(EMBEDDED, "embedded") {
            Ok(config) => config,
            // A constant that a test parses.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// The named file; else [`DEFAULT_FILE`] where it exists; else [`Config::embedded`].
    ///
    /// # Errors
    /// As [`Config::load`]; a default file that exists but cannot be read is an error too.
    pub fn find(explicit: Option<&Path>) -> Result<Config, ConfigError> {
        Ok(Config::find_with_source(explicit)?.0)
    }

    /// As [`Config::find`], with the file it came from; none where it is embedded.
    ///
    /// # Errors
    /// As [`Config::find`].
    pub fn find_with_source(explicit: Option<&Path>) -> Result<(Config, Option<PathBuf>), ConfigError> {
        let path = explicit.unwrap_or(Path::new(DEFAULT_FILE));
        match Config::load(path) {
            Err(ConfigError::Unreadable { source, .. })
                if explicit.is_none() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok((Config::embedded(), None))
            }
            result => Ok((result?, Some(path.to_owned()))),
        }
    }

    /// What is allowed but hardly meant, in words for `config check` and the start of `serve`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.listen.is_empty() {
            warnings.push("there is no [[listen]]: `serve` has no door to open".to_owned());
        }
        if !self.store.fsync {
            warnings.push("[store] fsync = false: mail is lost when the power fails".to_owned());
        }
        if self.submission.relay == Relay::None {
            let what = "[submission] has neither `server` nor `sendmail`: redirects are deferred, no replies are sent";
            warnings.push(what.to_owned());
        }
        warnings.extend(self.warning_of_logins());
        let sieve = &self.sieve;
        let scripts = sieve.before.iter().chain(&sieve.after).chain(&sieve.default);
        for script in scripts.filter(|script| !script.exists()) {
            warnings.push(format!("[sieve] {} does not exist", script.display()));
        }
        for domain in &self.sieve_domains {
            let scripts = domain.before.iter().chain(&domain.after).chain(&domain.default);
            let missing = scripts.filter(|script| !script.exists());
            warnings.extend(missing.map(|script| format!("[[sieve.domain]] {} does not exist", script.display())));
            let known = &self.directory.domains;
            let is_static = matches!(self.directory.source, directory::Source::Static { .. });
            if is_static && !known.iter().any(|known| known.eq_ignore_ascii_case(&domain.name)) {
                warnings.push(format!("[[sieve.domain]] {} is no domain of [directory]", domain.name));
            }
        }
        for section in self.idle_scanners() {
            warnings.push(format!("[{section}] says nothing without `header`"));
        }
        warnings
    }

    fn warning_of_logins(&self) -> Option<String> {
        let doors = self
            .listen
            .iter()
            .filter(|door| door.protocol == ListenProtocol::ManageSieve);
        let from_afar = doors
            .filter_map(|door| match &door.address {
                ListenAddress::Tcp(address) if !address.ip().is_loopback() => Some(*address),
                _ => None,
            })
            .next()?;
        match (&self.tls, self.managesieve.plaintext) {
            (_, Plaintext::Always) => {
                Some("[managesieve] plaintext = \"always\": passwords may cross the network in the clear".to_owned())
            }
            (None, _) => Some(format!(
                "from other hosts nobody can log in at {from_afar}: without [tls] there is no way to protect passwords"
            )),
            (Some(_), _) => None,
        }
    }

    /// The settings as a file that says them all and is read back to the same.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::config(self)
    }
}

#[cfg(test)]
mod tests;
