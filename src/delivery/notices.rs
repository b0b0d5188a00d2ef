//! What is told to people: owners of accounts, and senders of refused mail.

use crate::mail::{Address, DeliveryId, Flags, MailboxName, Outcome, Placement, Quota, Recipient, ReversePath};
use crate::message::{Letter, Message, Trace};
use crate::sieve::{ErrorKind, FolderError, ScriptError};
use crate::store::{Account, Publication, Published, Remembered, StoreError, Target};
use crate::submission::{Dsn, StatusAction, SubmitError};

/// What became of a message for one recipient, as a notification names it.
pub use crate::submission::Status;

use super::failure::Failure;
use super::{Delivery, Parcel, Sorter, key};

/// Seconds in which an owner is told of one thing once: a day.
const TOLD_AGAIN: u64 = 86_400;

impl Sorter {
    /// Tells the sender of a message which recipients did not get it, by a delivery
    /// status notification (RFC 3464); nothing is sent to a null reverse path.
    ///
    /// # Errors
    /// Where the notification could not be handed over.
    pub fn report_refused(&self, parcel: &Parcel, refused: &[Status]) -> Result<(), SubmitError> {
        let reverse_path = &parcel.envelope.reverse_path;
        let composer = self.submitter.composer();
        let Some(content) = composer.delivery_status((reverse_path, &parcel.envelope.dsn), refused, &parcel.message)
        else {
            return Ok(());
        };
        let Some(sender) = reverse_path.address() else {
            return Ok(());
        };
        // RFC 3461 §6.1: nobody is told what became of a notification.
        self.submitter
            .submit_with(
                &Dsn::never(),
                &ReversePath::Null,
                std::slice::from_ref(sender),
                &content,
            )
            .map(drop)
    }

    /// Tells the owner, once a day, that a script failed.
    pub(super) fn tell_of_script(&self, delivery: &Delivery<'_>, error: &ScriptError) {
        tracing::warn!(id = %delivery.parcel.id, user = %delivery.found.user, "a filter failed, the message is kept in INBOX: {error}");
        let subject = "Your mail filter has an error";
        let remedy = match error.kind {
            ErrorKind::Compile => "mend the script at the place that is shown, and save it again.",
            ErrorKind::Runtime => {
                "look whether what the script asks for is there and allowed at the place that is shown,\nand change it."
            }
        };
        let text = format!(
            "A message for you could not be filtered as your scripts say. It is in your INBOX.\n\n\
             The error is:\n\n{}\n\n\
             What you can do: {remedy} Until then, mail that meets the error is kept in your INBOX;\n\
             nothing is lost. Scripts that ended well before this one did what they say.\n\
             You are told of this error once a day.\n",
            indented(&error.illustrated())
        );
        self.tell_owner(delivery, &format!("script {error}"), subject, &text);
    }

    /// Tells the postmaster, and the owner once a day, that a script cannot be read.
    pub(super) fn tell_of_unreadable(&self, delivery: &Delivery<'_>, error: &FolderError) {
        let Delivery { parcel, found, .. } = delivery;
        tracing::error!(id = %parcel.id, user = %found.user, "no filter runs, the message is kept in INBOX: {error}");
        let text = format!(
            "A message for you could not be filtered. It is in your INBOX.\n\nThe reason is:\n\n    {error}\n\n\
             You are told of this once a day.\n"
        );
        self.tell_owner(delivery, &format!("script {error}"), "Your mail is not filtered", &text);
    }

    /// Tells the owner, once a day, that one action could not be carried out.
    pub(super) fn tell_of_action(&self, delivery: &Delivery<'_>, about: &str, why: &str) {
        tracing::warn!(id = %delivery.parcel.id, user = %delivery.found.user, "{about}: {why}; the message is kept in INBOX");
        let subject = "A message could not be filed as you wished";
        let text = format!(
            "Your mail filter asked for this: {about}.\n\nIt could not be done: {why}.\n\n\
             The message is in your INBOX. You are told of this once a day.\n"
        );
        self.tell_owner(delivery, about, subject, &text);
    }

    // A notice that cannot be delivered is no reason to hold the message.
    fn tell_owner(&self, delivery: &Delivery<'_>, about: &str, subject: &str, text: &str) {
        if let Err(failure) = self.put_notice(delivery, about, subject, text) {
            tracing::warn!(user = %delivery.found.user, %failure, "cannot tell the owner: {subject}");
        }
    }

    fn put_notice(&self, delivery: &Delivery<'_>, about: &str, subject: &str, text: &str) -> Result<(), Failure> {
        let Delivery {
            found,
            account,
            parcel,
            recipient,
            ..
        } = delivery;
        if !account.remember(&Remembered::Notice(about.to_owned()), TOLD_AGAIN)? {
            return Ok(());
        }
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        self.post_notice(*account, owner, &parcel.id, subject, text)
    }

    /// Puts a notice into an owner's INBOX, whatever his quota.
    pub(super) fn post_notice(
        &self,
        account: &dyn Account,
        owner: &Address,
        id: &DeliveryId,
        subject: &str,
        text: &str,
    ) -> Result<(), Failure> {
        let content = self.submitter.composer().notice(owner, subject, text);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut content.reader(), &mut bytes).map_err(Failure::Spool)?;
        let message = Message::from_bytes(bytes);
        let key = key::redelivery_key(&message, &ReversePath::Null, owner);
        let trace = Trace {
            return_path: ReversePath::Null,
            received: None,
            original_to: None,
            delivered_to: None,
            extra: Vec::new(),
        };
        let inbox = Target {
            mailbox: MailboxName::inbox(),
            flags: Flags::new(),
        };
        Ok(put(account, &Letter::new(message, &trace), key, inbox, id, None)?)
    }
}

/// Puts a message of our own making into a mailbox; the quota holds where one is given.
pub(super) fn put(
    account: &dyn Account,
    letter: &Letter,
    key: u64,
    target: Target,
    id: &DeliveryId,
    quota: Option<Quota>,
) -> Result<(), StoreError> {
    let publication = Publication {
        targets: vec![target],
        id: id.clone(),
        remember: Vec::new(),
        quota,
        history: None,
    };
    account.stage(letter, key)?.publish(publication).map(drop)
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// What a delivery status notification says of a refused recipient.
#[must_use]
pub fn failed(recipient: &Recipient, status: (u8, u16, u16), diagnostic: String, outcome: &Outcome) -> Status {
    let explanation = match outcome {
        Outcome::Refused(crate::mail::Refusal::Rejected(reason)) => reason.clone(),
        _ => String::new(),
    };
    Status {
        recipient: recipient.address.clone(),
        original: recipient.original.clone(),
        orcpt: recipient.dsn.orcpt.clone(),
        action: StatusAction::Failed,
        status: format!("{}.{}.{}", status.0, status.1, status.2),
        diagnostic,
        explanation,
    }
}

/// The copies that publishing made.
pub(super) fn placements(published: Published) -> Vec<Placement> {
    match published {
        Published::Placed(placements) => placements,
        Published::Before(_) => Vec::new(),
    }
}
