//! The rooms, furnished as the configuration says.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User};

use crate::config::{
    self, Config, DeliveredTo, OverQuota, ProgramUse, RedirectFrom, Relay, SieveEngine, SubmissionTls,
};
use crate::delivery::{self, Programs, QuotaWarning, SiteScripts, Sorter};
use crate::directory::{self, Directory, Found, Passwd, SystemAccount};
use crate::mail::Threshold;
use crate::message::SpoolOptions;
use crate::privsep::{Agents, Monitor, become_user};
use crate::sieve::{self, EditHeaderRules, Engine};
use crate::store::{Account, Disk, LocalStore, Options as StoreOptions, Store};
use crate::submission::{self, RedirectSender, Route, Srs, Submitter, Tls};
use crate::telemetry::{self, Format, Level};

use super::confine::Confined;
use super::fault::{Fault, exit};

/// Characters that a secret has at least.
const SECRET_MIN: usize = 16;

/// The directory.
pub(super) fn directory(config: &Config) -> Result<Box<dyn Directory>, Fault> {
    directory::open(&config.directory, &config.root).map_err(|error| Fault::config(&error))
}

/// Files that SQLite makes get the permissions of the others by the umask.
pub(super) fn set_umask(config: &Config) {
    umask(Mode::from_bits_truncate(!config.store.folder_mode & 0o777));
}

/// The store, and the umask for it.
pub(super) fn store(config: &Config) -> LocalStore {
    store_keeping(config, false)
}

// Who keeps logs stays, opens accounts again and again, and tends them.
fn store_keeping(config: &Config, keep_logs: bool) -> LocalStore {
    let settings = &config.store;
    set_umask(config);
    LocalStore::new(StoreOptions {
        disk: Disk {
            fsync: settings.fsync,
            file_mode: settings.file_mode,
            folder_mode: settings.folder_mode,
        },
        maildir: settings.maildir.clone(),
        index_root: settings.index_root.clone(),
        host: config.hostname.clone(),
        open_accounts: settings.open_accounts,
        maildirsize: config.quota.maildirsize,
        fulltext: config.search.fulltext,
        keep_expunged: settings.keep_expunged,
        history: config.history.keep,
        history_entries: config.history.entries,
        create: config.mailboxes.create.clone(),
        subscribe: config.mailboxes.subscribe,
        dovecot_uidlist: settings.dovecot_uidlist,
        keep_logs,
    })
}

/// The filter engine.
pub(super) fn engine(config: &Config) -> Engine {
    Engine::new(sieve_options(config))
}

/// The limits of scripts.
pub(super) fn sieve_options(config: &Config) -> sieve::Options {
    let settings = &config.sieve;
    let limits = &config.sieve_limits;
    sieve::Options {
        engine: match settings.engine {
            SieveEngine::Postroom => sieve::EngineKind::Postroom,
            SieveEngine::SieveRs => sieve::EngineKind::SieveRs,
        },
        delimiters: config.directory.delimiters.clone(),
        separator: config.store.separator,
        max_redirects: settings.max_redirects,
        max_script_size: settings.max_script_size,
        vacation_default_days: settings.vacation_days.min(settings.vacation_max_days) as u64,
        vacation_max_days: settings.vacation_max_days as u64,
        max_instructions: limits.instructions,
        run_time: limits.run_time,
        user_time: limits.user_time,
        max_actions: limits.actions,
        max_include_depth: limits.includes,
        max_variables: limits.variables,
        max_variable_size: limits.variable_size,
        max_parts: limits.parts,
        programs: sieve::Programs {
            pipe: may_run(config, ProgramUse::Pipe),
            filter: may_run(config, ProgramUse::Filter),
            execute: may_run(config, ProgramUse::Execute),
        },
        editheader: editheader(config),
        spam: config.scanners(),
        ..sieve::Options::default()
    }
}

fn may_run(config: &Config, use_: ProgramUse) -> bool {
    config.programs.folder.is_some() && config.programs.allow.contains(&use_)
}

/// How much of scripts a user may keep.
pub(super) fn storage_options(config: &Config) -> sieve::StorageOptions {
    sieve::StorageOptions {
        max_scripts: config.sieve.max_scripts,
        max_total: config.sieve.quota,
        max_script_size: config.sieve.max_script_size,
    }
}

/// What scripts may do to the header.
fn editheader(config: &Config) -> EditHeaderRules {
    EditHeaderRules {
        protected: config.sieve.editheader_protected.clone(),
        forbid_add: config.sieve.editheader_forbid_add.clone(),
        forbid_delete: config.sieve.editheader_forbid_delete.clone(),
        max_header_size: config.sieve.editheader_max_size,
    }
}

/// Whom a process finds in the directory, and delivers to.
pub(super) enum Who {
    /// All that it has.
    All,
    /// The accounts of the system, each by a process of its own.
    Others(Arc<Monitor>),
    /// One account of the system.
    One(SystemAccount),
}

/// The sorting table with all that deliveries need, of a process that is held by nothing.
pub(super) fn sorter(config: &Config) -> Result<Sorter, Fault> {
    sorter_over(store(config), config, &Confined::default(), Who::All)
}

/// The sorting table of a process that stays and may be confined.
pub(super) fn sorter_in(config: &Config, confined: &Confined, who: Who) -> Result<Sorter, Fault> {
    sorter_over(store_keeping(config, true), config, confined, who)
}

fn sorter_over(store: LocalStore, config: &Config, confined: &Confined, who: Who) -> Result<Sorter, Fault> {
    let of_system = |accounts| Box::new(Passwd::open(&config.directory, accounts));
    let (directory, elsewhere): (Box<dyn Directory>, _) = match who {
        Who::All => (directory(config)?, None),
        Who::Others(monitor) => (of_system(Box::new(monitor.clone())), Some(Agents::new(monitor))),
        Who::One(account) => (of_system(Box::new(account)), None),
    };
    let options = delivery::Options {
        hostname: config.hostname.clone(),
        delivered_to: match config.delivery.delivered_to {
            DeliveredTo::Single => delivery::DeliveredTo::Single,
            DeliveredTo::Always => delivery::DeliveredTo::Always,
            DeliveredTo::Never => delivery::DeliveredTo::Never,
        },
        refuse_over_quota: config.delivery.over_quota == OverQuota::Refuse,
        warnings: config.quota.warnings.iter().map(warning).collect(),
        create_mailboxes: config.delivery.create_mailboxes,
        hops: config.limits.hops,
        separator: config.store.separator,
        filter: config.sieve.enabled,
        scripts: SiteScripts {
            before: config.sieve.before.clone(),
            default: config.sieve.default.clone(),
            after: config.sieve.after.clone(),
        },
        domains: config.sieve_domains.iter().map(domain_scripts).collect(),
        script_size: config.sieve.max_script_size,
        programs: programs(config),
        lists: config.sieve.lists.clone(),
        confined: confined.roots.clone(),
    };
    let sorter = Sorter::new(
        directory,
        Arc::new(store),
        engine(config),
        submitter(config)?.with_runner(confined.runner.clone()),
        options,
    );
    // An MTA that hangs leaves the other half to what stays here.
    let sorter = sorter.redirecting_at_once(config.limits.deliveries.div_ceil(2));
    Ok(match elsewhere {
        Some(agents) => sorter.delivering_elsewhere(Box::new(agents)),
        None => sorter,
    })
}

fn domain_scripts(written: &config::SieveDomain) -> (String, SiteScripts) {
    let scripts = SiteScripts {
        before: written.before.clone(),
        default: written.default.clone(),
        after: written.after.clone(),
    };
    (written.name.clone(), scripts)
}

fn programs(config: &Config) -> Option<Programs> {
    let settings = &config.programs;
    let allowed = |use_| may_run(config, use_);
    Some(Programs {
        folder: settings.folder.clone()?,
        timeout: settings.timeout,
        output: settings.output,
        pipe: allowed(ProgramUse::Pipe),
        ask: allowed(ProgramUse::Filter) || allowed(ProgramUse::Execute),
    })
}

fn warning(written: &config::QuotaWarning) -> QuotaWarning {
    QuotaWarning {
        threshold: Threshold {
            percent: written.at,
            unit: written.of,
        },
        below: written.below,
        message: written.message,
        command: written.command.clone(),
    }
}

/// Where messages wait until they are complete.
pub(super) fn spool(config: &Config) -> SpoolOptions {
    SpoolOptions {
        memory: config.limits.memory,
        directory: config.store.spool.clone().unwrap_or_else(std::env::temp_dir),
        header: config.limits.header,
    }
}

pub(super) fn submitter(config: &Config) -> Result<Submitter, Fault> {
    let settings = &config.submission;
    let (route, tls) = match &settings.relay {
        Relay::None => (Route::None, Tls::None),
        Relay::Sendmail(program) => (Route::Sendmail(program.clone()), Tls::None),
        Relay::Server { address, tls, ca_file } => {
            let tls = match tls {
                SubmissionTls::Opportunistic => Tls::Opportunistic,
                SubmissionTls::Verify => Tls::Verify {
                    ca_file: Some(ca_file.clone()),
                },
                SubmissionTls::None => Tls::None,
            };
            (
                Route::Server {
                    address: address.to_string(),
                },
                tls,
            )
        }
    };
    Ok(Submitter::new(submission::Options {
        route,
        tls,
        timeout: settings.timeout,
        hostname: config.hostname.clone(),
        notices_from: settings.notices_from.clone(),
        redirect_sender: match &settings.redirect_sender {
            RedirectFrom::Original => RedirectSender::Original,
            RedirectFrom::Recipient => RedirectSender::Recipient,
            RedirectFrom::Fixed(address) => RedirectSender::Fixed(address.clone()),
            RedirectFrom::Srs => match srs(config)? {
                Some(srs) => RedirectSender::Srs(srs),
                // The configuration was checked for it.
                None => RedirectSender::Original,
            },
        },
    }))
}

/// What rewrites senders, where the settings for it are made.
pub(super) fn srs(config: &Config) -> Result<Option<Srs>, Fault> {
    let settings = &config.submission;
    let (Some(domain), Some(file)) = (&settings.srs_domain, &settings.srs_secret_file) else {
        return Ok(None);
    };
    let secret = fs::read_to_string(file)
        .map_err(|error| Fault::new(exit::CONFIG, format!("srs_secret_file {}: {error}", file.display())))?;
    match secret.trim() {
        secret if secret.len() >= SECRET_MIN => Ok(Some(Srs::new(domain, secret.as_bytes()))),
        _ => {
            let what = format!(
                "srs_secret_file {}: a secret has {SECRET_MIN} characters or more, as from `openssl rand -hex 16`",
                file.display()
            );
            Err(Fault::new(exit::CONFIG, what))
        }
    }
}

/// The account of a user named on the command line, for commands that read it; none
/// where nothing was ever delivered to it, so that asking makes nothing.
pub(super) fn account(config: &Config, user: &str) -> Result<Option<Arc<dyn Account>>, Fault> {
    let Some((store, found)) = store_of(config, user)? else {
        return Ok(None);
    };
    let account = store.account(&found.user, &found.home)?;
    account.reconcile()?;
    Ok(Some(account))
}

/// As [`account`], before it is opened.
pub(super) fn store_of(config: &Config, user: &str) -> Result<Option<(LocalStore, Found)>, Fault> {
    let found = find(config, user)?;
    if !has_mail(config, &found.home)? {
        return Ok(None);
    }
    become_owner(config, &found.home)?;
    // What the store warns of is for whoever asks; that it was said before is no fault.
    let _ = telemetry::start(&telemetry::Options {
        format: Format::Human,
        level: Level::Warn,
    });
    Ok(Some((store(config), found)))
}

/// As root among files of others, links of theirs could lead anywhere, and new files would be root's.
pub(super) fn refuse_foreign(home: &Path, user: &str) -> Result<(), Fault> {
    let owner = fs::metadata(home).map(|metadata| metadata.uid());
    if Uid::effective().is_root() && owner.is_ok_and(|owner| owner != 0) {
        let what = format!("the home of {user} is not root's: set `user`, or name this one user");
        return Err(Fault::new(exit::NOPERM, what));
    }
    Ok(())
}

/// Whether anything was ever delivered to an account. Who may not look is told so: it is no empty account.
pub(super) fn has_mail(config: &Config, home: &Path) -> Result<bool, Fault> {
    let path = home.join(&config.store.maildir).join("cur");
    let failed = |code, error| Fault::new(code, format!("{}: {error}{}", path.display(), super::carrying::whose()));
    match fs::metadata(&path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
            io::ErrorKind::PermissionDenied => Err(failed(exit::NOPERM, error)),
            _ => Err(failed(exit::TEMPFAIL, error)),
        },
    }
}

/// The user named on the command line.
pub(super) fn find(config: &Config, user: &str) -> Result<Found, Fault> {
    match directory(config)?.find_user(user) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Fault::new(exit::NOUSER, format!("no such user: {user}"))),
        Err(error) => Err(Fault::new(exit::TEMPFAIL, crate::mail::Cause::of(&error).to_string())),
    }
}

/// Who the process becomes where it was started as root.
pub(super) struct Identity {
    pub(super) name: Option<String>,
    pub(super) uid: Uid,
    pub(super) gid: Gid,
}

/// The identity that the settings `user` and `group` name; none without `user`.
pub(super) fn identity(config: &Config) -> Result<Option<Identity>, Fault> {
    let Some(name) = &config.user else { return Ok(None) };
    let user = user(name)?;
    let gid = match &config.group {
        Some(name) => group(name)?,
        None => user.gid,
    };
    Ok(Some(Identity {
        name: Some(user.name),
        uid: user.uid,
        gid,
    }))
}

/// A user of the system, by name.
pub(super) fn user(name: &str) -> Result<User, Fault> {
    let found = User::from_name(name).map_err(|error| Fault::config(&error))?;
    found.ok_or_else(|| {
        Fault::new(
            exit::CONFIG,
            format!("the system has no user {name}: create it, or change `user`"),
        )
    })
}

/// The number of a group of the system.
pub(super) fn group(name: &str) -> Result<Gid, Fault> {
    let found = Group::from_name(name).map_err(|error| Fault::config(&error))?;
    let missing = || {
        Fault::new(
            exit::CONFIG,
            format!("the system has no group {name}: create it, or change `group`"),
        )
    };
    found.map(|group| group.gid).ok_or_else(missing)
}

/// Gives up root's rights, groups included; does nothing where they are not held.
pub(super) fn become_identity(identity: &Identity) -> Result<(), Fault> {
    if !Uid::effective().is_root() || identity.uid.is_root() {
        return Ok(());
    }
    let changed = become_user(identity.name.as_deref(), identity.uid, identity.gid);
    changed.map_err(|error| Fault::new(exit::NOPERM, format!("cannot become uid {}: {error}", identity.uid)))
}

/// For commands that work on one home: as root they become the setting `user`, or the
/// home's owner, so that no file in it comes to belong to root.
pub(super) fn become_owner(config: &Config, home: &Path) -> Result<(), Fault> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let identity = match identity(config)? {
        Some(identity) => Some(identity),
        None => nearest(home).map(|metadata| Identity {
            name: None,
            uid: Uid::from_raw(metadata.uid()),
            gid: Gid::from_raw(metadata.gid()),
        }),
    };
    identity.as_ref().map_or(Ok(()), become_identity)
}

fn nearest(path: &Path) -> Option<fs::Metadata> {
    path.ancestors()
        .map(Path::to_path_buf)
        .find_map(|path: PathBuf| fs::metadata(path).ok())
}
