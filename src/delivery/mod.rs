//! The sorting table: what becomes of one message for one recipient.
//!
//! Called by `server` and by `cli::deliver`. [`Sorter::resolve`] answers at RCPT TO,
//! [`Sorter::deliver`] after the message is complete; both end in an [`Outcome`],
//! whatever goes wrong on the way.
//!
//! A plan is carried out in three strokes: stage the bytes durably, submit redirects and run
//! programs (they cannot be undone, so they come after what may fail), publish. Replies of
//! `vacation`, notifications and warnings about the quota are [`Errand`]s for afterwards:
//! they hold nothing up, not even the answer.
//!
//! [`Sorter::apply`] runs a script over mail that is there already, for `cli::sieve`.

mod apply;
mod carry_out;
mod copies;
mod delivered;
mod elsewhere;
mod errand;
mod failure;
mod gate;
mod history;
mod inquiry;
mod key;
mod lists;
mod notices;
mod outlet;
mod outward;
mod programs;
mod quota;
mod replies;
mod scripts;
#[cfg(test)]
mod tests;
mod under_way;
mod wishes;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::directory::{Directory, Found};
use crate::mail::{Address, DeliveryId, Envelope, MailboxName, Outcome, Protocol, Recipient, Refusal, ReversePath};
use crate::message::{Message, queue_id};
use crate::sieve::{Engine, Evaluation, Incoming, Plan, Scripts, Transport};
use crate::store::{Account, Remembered, Store, StoreError};
use crate::submission::Submitter;

pub use apply::{Application, ApplyError, Deed, May, NotRedirected, REDIRECTED, Ruling, Undone};
pub use elsewhere::Elsewhere;
pub use errand::Errand;
pub use notices::{Status, failed};
pub use programs::Programs;
pub use quota::QuotaWarning;
pub use scripts::SiteScripts;

use failure::Failure;
use gate::Gate;
use history::Chronicle;
use inquiry::Inquiry;
use outlet::Outlet;
use quota::Room;
use under_way::UnderWay;

/// Seconds for which a sender and recipient are remembered, for the answer at RCPT TO:
/// as long as a delivery itself (DESIGN: invariant 4).
const CORRESPONDENTS_KEPT: u64 = 7 * 86_400;
/// Bytes of large messages that filters may hold in memory at a time.
const FILTERED_AT_ONCE: u64 = 48 * 1024 * 1024;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// This host's name, in Received fields and for filters.
    pub hostname: String,
    /// When Delivered-To is written.
    pub delivered_to: DeliveredTo,
    /// Whether a full account refuses (552) rather than defers (452).
    pub refuse_over_quota: bool,
    /// What happens at thresholds of the quota.
    pub warnings: Vec<QuotaWarning>,
    /// Whether `fileinto` makes a mailbox that is missing without `:create`.
    pub create_mailboxes: bool,
    /// More Received fields than this are a loop.
    pub hops: usize,
    /// What separates the levels of mailbox names in scripts.
    pub separator: char,
    /// Whether filters run at all.
    pub filter: bool,
    /// Scripts of the site.
    pub scripts: SiteScripts,
    /// Scripts of single domains, by the domain of an account's main address.
    pub domains: Vec<(String, SiteScripts)>,
    /// Bytes a script may have.
    pub script_size: usize,
    /// The programs that scripts may run; none: none.
    pub programs: Option<Programs>,
    /// Where the site's external lists lie (RFC 6134).
    pub lists: Option<PathBuf>,
    /// The folders below which homes lie, where this process is confined to them; none: it is not.
    pub confined: Option<Vec<PathBuf>>,
}

/// When Delivered-To is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveredTo {
    /// With one recipient only, so that none learns of another.
    Single,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A complete message with its envelope.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The message.
    pub message: Message,
    /// The envelope.
    pub envelope: Envelope,
    /// The id of this delivery.
    pub id: DeliveryId,
    queue_id: OnceLock<Option<String>>,
}

/// The sorting table: all that deliveries share. One for a process.
pub struct Sorter {
    directory: Box<dyn Directory>,
    store: Arc<dyn Store>,
    engine: Engine,
    submitter: Submitter,
    options: Options,
    gate: Gate,
    under_way: Arc<UnderWay>,
    outlet: Outlet,
    elsewhere: Option<Box<dyn Elsewhere>>,
}

/// One delivery on its way: a parcel, a recipient, an account.
pub(crate) struct Delivery<'a> {
    parcel: &'a Parcel,
    recipient: &'a Recipient,
    found: &'a Found,
    account: &'a dyn Account,
    key: u64,
    keep_in: Option<&'a MailboxName>,
    chronicle: Chronicle,
    /// Whether a script asked for a program and nobody was there to run it.
    unanswered: Cell<bool>,
}

impl Parcel {
    /// A message, its envelope and the id of its delivery.
    #[must_use]
    pub fn new(message: Message, envelope: Envelope, id: DeliveryId) -> Parcel {
        Parcel {
            message,
            envelope,
            id,
            queue_id: OnceLock::new(),
        }
    }

    /// The id under which the MTA has the message in its queue: it said so, or wrote it into its Received field. The
    /// field is read once for all recipients.
    #[must_use]
    pub fn queue_id(&self) -> Option<&str> {
        let client = &self.envelope.client;
        let read = || {
            // Who pipes a message to us has written the topmost field, and does not tell his name.
            let host = (client.protocol != Protocol::Pipe).then_some(client.helo.as_str());
            queue_id(self.message.header(), host)
        };
        let told = client.forwarded.queue_id.as_deref();
        told.or_else(|| self.queue_id.get_or_init(read).as_deref())
    }
}

impl Sorter {
    /// A sorting table over these rooms.
    #[must_use]
    pub fn new(
        directory: Box<dyn Directory>,
        store: Arc<dyn Store>,
        engine: Engine,
        submitter: Submitter,
        options: Options,
    ) -> Sorter {
        Sorter {
            directory,
            store,
            engine,
            submitter,
            options,
            gate: Gate::new(FILTERED_AT_ONCE),
            under_way: Arc::default(),
            outlet: Outlet::new(usize::MAX),
            elsewhere: None,
        }
    }

    /// Redirects at most so many messages at once; others wait a little, and are deferred.
    #[must_use]
    pub fn redirecting_at_once(mut self, most: usize) -> Sorter {
        self.outlet = Outlet::new(most);
        self
    }

    /// Makes no delivery itself, and opens no account: this process has no right to.
    #[must_use]
    pub fn delivering_elsewhere(mut self, elsewhere: Box<dyn Elsewhere>) -> Sorter {
        self.elsewhere = Some(elsewhere);
        self
    }

    /// Whether accounts are opened by this process, and tended by it.
    #[must_use]
    pub fn opens_accounts(&self) -> bool {
        self.elsewhere.is_none()
    }

    /// Takes the place of another one, some of whose deliveries may still be under way: none of them is begun twice.
    pub fn succeed(&mut self, other: &Sorter) {
        self.under_way = other.under_way.clone();
    }

    /// Who gets the mail of an address; asked at RCPT TO, so that a sender hears at once
    /// what can be known at once. `size` is the declared one in bytes.
    ///
    /// # Errors
    /// The outcome for this recipient: unknown, full, or not to be told now.
    pub fn resolve(&self, address: &Address, reverse_path: &ReversePath, size: u64) -> Result<Found, Outcome> {
        let found = match self.directory.find(address) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Outcome::Refused(Refusal::UnknownUser)),
            Err(error) => return Err(Failure::Lookup(error).into_outcome()),
        };
        if let Some(elsewhere) = &self.elsewhere {
            // Nothing else could be wrong with it, and a process would be started to say so.
            let refused = match found.quota.is_limited() {
                true => elsewhere.refuses(&found, address, reverse_path, size),
                false => None,
            };
            return refused.map_or(Ok(found), Err);
        }
        match self.is_full(&found, address, reverse_path, Room::Anywhere(size)) {
            Ok(None) => Ok(found),
            Ok(Some(outcome)) => Err(outcome),
            Err(failure) => Err(self.outcome_of(failure, &found)),
        }
    }

    /// What [`Sorter::resolve`] answers, where that takes no file and no waiting; none where it may.
    #[must_use]
    pub fn resolve_at_once(&self, address: &Address) -> Option<Result<Found, Outcome>> {
        if !self.directory.answers_at_once() {
            return None;
        }
        match self.directory.find(address).ok()? {
            None => Some(Err(Outcome::Refused(Refusal::UnknownUser))),
            // Whether there is room is known to the index alone.
            Some(found) => (!found.quota.is_limited()).then_some(Ok(found)),
        }
    }

    // What a confined process may not touch looks like a matter of owners, which it is not.
    fn outcome_of(&self, failure: Failure, found: &Found) -> Outcome {
        match &self.options.confined {
            Some(roots) if failure.is_denied() => failure.confined(&found.home, roots).into_outcome(),
            _ => failure.into_outcome(),
        }
    }

    /// Who lives here, for logins.
    #[must_use]
    pub fn directory(&self) -> &dyn Directory {
        self.directory.as_ref()
    }

    /// What checks scripts before they are stored.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Opens an account, for its upkeep or its scripts.
    ///
    /// # Errors
    /// Those of [`Store::account`].
    pub fn account(&self, user: &str, home: &Path) -> Result<Arc<dyn Account>, StoreError> {
        self.store.account(user, home)
    }

    /// Delivers a message to one recipient. `keep` goes into `keep_in`, by default INBOX.
    /// The errands are for [`Sorter::run_errands`], once the outcome was answered.
    #[must_use]
    pub fn deliver(
        &self,
        parcel: &Parcel,
        recipient: &Recipient,
        found: &Found,
        keep_in: Option<&MailboxName>,
    ) -> (Outcome, Vec<Errand>) {
        if let Some(elsewhere) = &self.elsewhere {
            return (elsewhere.deliver(found, parcel, recipient), Vec::new());
        }
        let loops = parcel.message.header().count("Received") > self.options.hops;
        // No account is made for what is refused.
        if loops && !found.home.is_dir() {
            return (Outcome::Refused(Refusal::Loop), Vec::new());
        }
        let account = match self.store.account(&found.user, &found.home) {
            Ok(account) => account,
            Err(_) if loops => return (Outcome::Refused(Refusal::Loop), Vec::new()),
            Err(error) => return (self.outcome_of(Failure::Store(error), found), Vec::new()),
        };
        let key = key::redelivery_key(&parcel.message, &parcel.envelope.reverse_path, &recipient.address);
        let delivery = Delivery {
            parcel,
            recipient,
            found,
            account: account.as_ref(),
            key,
            keep_in,
            chronicle: Chronicle::default(),
            unanswered: Cell::new(false),
        };
        let (outcome, errands) = match loops {
            true => (Outcome::Refused(Refusal::Loop), Vec::new()),
            false => self
                .filter(&delivery)
                .unwrap_or_else(|failure| (self.outcome_of(failure, found), Vec::new())),
        };
        delivery.chronicle.close(&delivery, &outcome);
        (outcome, errands)
    }

    fn filter(&self, delivery: &Delivery<'_>) -> Result<(Outcome, Vec<Errand>), Failure> {
        let scripts = match self.scripts(delivery.found) {
            Err(error) if error.is_lasting() => {
                self.tell_of_unreadable(delivery, &error);
                delivery.chronicle.unreadable(delivery, &error);
                return self.carry_out(delivery, Plan::keep());
            }
            scripts => scripts?,
        };
        let evaluation = self.evaluate(delivery, &scripts);
        if delivery.unanswered.get() {
            return Err(Failure::NoPrograms);
        }
        for note in &evaluation.notes {
            tracing::info!(id = %delivery.parcel.id, user = %delivery.found.user, "{note}");
        }
        delivery.chronicle.evaluated(delivery, &evaluation);
        if let Some(error) = &evaluation.error {
            self.tell_of_script(delivery, error);
        }
        self.carry_out(delivery, evaluation.plan)
    }

    fn evaluate(&self, delivery: &Delivery<'_>, scripts: &Scripts) -> Evaluation {
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        let client = &parcel.envelope.client;
        let forwarded = client.forwarded.name.as_deref().or(client.forwarded.helo.as_deref());
        let notify = recipient.dsn.notify.map(|notify| notify.to_string());
        let incoming = Incoming {
            message: &parcel.message,
            reverse_path: &parcel.envelope.reverse_path,
            recipient: &recipient.address,
            original: recipient.original.as_ref(),
            detail: found.detail.as_deref(),
            own_addresses: &found.addresses,
            separator: self.options.separator,
            hostname: &self.options.hostname,
            user: &found.user,
            transport: Transport {
                // Behind an MTA the client that counts is the one that the MTA had it from.
                remote_ip: client.forwarded.address.or(client.address),
                remote_host: forwarded.or(Some(client.helo.as_str()).filter(|helo| !helo.is_empty())),
                notify: notify.as_deref(),
                orcpt: recipient.dsn.orcpt.as_deref(),
                ret: parcel.envelope.dsn.ret.map(|ret| ret.as_str()),
                envid: parcel.envelope.dsn.envid.as_deref(),
                by: None,
            },
        };
        let folders = self.script_folders(found);
        // A filter that reads bodies holds the message about twice: as it is, and decoded.
        let size = if self.engine.needs_whole(scripts) {
            parcel.message.size() * 2
        } else {
            0
        };
        let _passage = self.gate.pass(size);
        self.engine.run(
            scripts,
            &incoming,
            &Inquiry {
                sorter: self,
                account: delivery.account,
                home: &found.home,
                folders: &folders,
                delivery: Some(delivery),
            },
        )
    }
}

fn correspondents(reverse_path: &ReversePath, recipient: &Address) -> Remembered {
    Remembered::Correspondents {
        from: reverse_path.to_string(),
        to: recipient.clone(),
    }
}
