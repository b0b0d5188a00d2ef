//! `postroom mailbox`: the mailboxes of an account.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::config::Config;
use crate::mail::{AnnotationName, Annotations, MailboxName, SpecialUse, nearest};
use crate::store::MailboxStatus;

use super::fault::{Fault, exit};
use super::named::{Named, count, name};

/// Show and change mailboxes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the mailboxes of a user with their numbers
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
    },
    /// Show all numbers of one mailbox
    Status {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// Make a mailbox; those above it in the hierarchy are not made
    Create {
        /// What it is for (RFC 6154): All, Archive, Drafts, Flagged, Important, Junk, Sent or Trash
        #[arg(long, value_name = "USE")]
        special_use: Option<String>,
        /// Subscribe to it
        #[arg(long)]
        subscribe: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// Rename a mailbox and those below it; messages, UIDs and subscriptions stay as they are
    Rename {
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
        /// Its new name
        new_name: String,
    },
    /// Delete a mailbox with all its messages; those below it stay. Without --execute nothing is done: what would go
    /// is shown
    Delete {
        /// Do it
        #[arg(long)]
        execute: bool,
        /// Print a JSON array of what goes
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// Subscribe to a mailbox
    Subscribe {
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// End the subscription to a mailbox, also to one that no longer exists
    Unsubscribe {
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// Show or change an annotation (RFC 5464), which filters ask for (RFC 5490)
    Annotate {
        /// Take it away
        #[arg(long, conflicts_with = "value")]
        remove: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox; empty for the server, as far as this account goes
        mailbox: String,
        /// Its name, such as /private/comment; without it, all are listed
        #[arg(required_if_eq("remove", "true"))]
        name: Option<String>,
        /// Its new value; without it, the value it has is printed
        value: Option<String>,
    },
    /// Say what a mailbox is for (RFC 6154), so that clients find it; another that was for the same no longer is
    SpecialUse {
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
        /// All, Archive, Drafts, Flagged, Important, Junk, Sent, Trash, or none
        special_use: String,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::List { json, user } => list(&config, user, *json),
        Command::Status { json, user, mailbox } => status(&config, user, mailbox, *json),
        Command::Create {
            special_use,
            subscribe,
            user,
            mailbox,
        } => create(&config, user, mailbox, special_use.as_deref(), *subscribe),
        Command::Rename {
            user,
            mailbox,
            new_name,
        } => rename(&config, user, mailbox, new_name),
        Command::Delete {
            execute,
            json,
            user,
            mailbox,
        } => delete(&config, user, mailbox, *execute, *json),
        Command::Subscribe { user, mailbox } => subscribe(&config, user, mailbox),
        Command::Unsubscribe { user, mailbox } => unsubscribe(&config, user, mailbox),
        Command::Annotate {
            remove,
            user,
            mailbox,
            name,
            value,
        } => annotate(&config, user, mailbox, name.as_deref(), value.as_deref(), *remove),
        Command::SpecialUse {
            user,
            mailbox,
            special_use,
        } => set_special_use(&config, user, mailbox, special_use),
    }
}

fn list(config: &Config, user: &str, json: bool) -> Result<u8, Fault> {
    let (mailboxes, subscribed) = match Named::find(config, user)? {
        Some(named) => (named.account.mailboxes()?, named.account.subscriptions()?),
        None => Default::default(),
    };
    let separator = config.store.separator;
    let describe = |mailbox| describe(mailbox, &subscribed, separator);
    if json {
        return super::print_json(&mailboxes.iter().map(describe).collect());
    }
    let rows = mailboxes.iter().map(|mailbox| {
        [
            mailbox.name.to_separated(separator),
            mailbox.counts.messages.to_string(),
            mailbox.counts.unseen.to_string(),
            mailbox.counts.size.to_string(),
            mailbox.validity.to_string(),
            mailbox.uid_next.to_string(),
            mailbox.special_use.map_or("", SpecialUse::as_str).to_owned(),
            yes(subscribed.contains(&mailbox.name)).to_owned(),
        ]
    });
    super::print(&super::table(
        [
            "mailbox",
            "messages",
            "unseen",
            "bytes",
            "uidvalidity",
            "uidnext",
            "special use",
            "subscribed",
        ],
        rows,
    ))
}

fn status(config: &Config, user: &str, mailbox: &str, json: bool) -> Result<u8, Fault> {
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    let described = describe(&status, &named.account.subscriptions()?, config.store.separator);
    if json {
        return super::print_json(&described);
    }
    let rows = described.as_object().into_iter().flatten().map(|(key, value)| {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "none".to_owned(),
            serde_json::Value::Bool(is_so) => yes(*is_so).to_owned(),
            value => value.to_string(),
        };
        [key.replace('_', " "), value]
    });
    super::print(&super::table(["number", "value"], rows))
}

fn create(config: &Config, user: &str, mailbox: &str, special_use: Option<&str>, subscribe: bool) -> Result<u8, Fault> {
    let mailbox = name(config, mailbox)?;
    let special_use = special_use.map(use_of).transpose()?.flatten();
    let named = Named::made(config, user)?;
    if named.account.has_mailbox(&mailbox)? {
        return Err(exists(&named, &mailbox));
    }
    named.account.create_mailbox(&mailbox)?;
    if special_use.is_some() {
        named.account.set_special_use(&mailbox, special_use)?;
    }
    if subscribe {
        named.account.subscribe(&mailbox, true)?;
    }
    super::print(&format!("{user}: {} is made\n", named.spoken(&mailbox)))
}

fn rename(config: &Config, user: &str, mailbox: &str, new_name: &str) -> Result<u8, Fault> {
    let new_name = name(config, new_name)?;
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    if named.account.has_mailbox(&new_name)? {
        return Err(exists(&named, &new_name));
    }
    named.account.rename_mailbox(&status.name, &new_name)?;
    let (old, new) = (named.spoken(&status.name), named.spoken(&new_name));
    super::print(&match status.name.is_inbox() {
        // RFC 9051 §6.3.6: INBOX stays, its messages go.
        true => format!("{user}: the messages of {old} are in {new}\n"),
        false => format!("{user}: {old} is {new} now\n"),
    })
}

fn exists(named: &Named<'_>, name: &MailboxName) -> Fault {
    let what = format!("{} has a mailbox {} already", named.user, named.spoken(name));
    Fault::new(exit::DATAERR, what)
}

fn delete(config: &Config, user: &str, mailbox: &str, execute: bool, json: bool) -> Result<u8, Fault> {
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    let spoken = named.spoken(&status.name);
    // RFC 9051 §6.3.5. Said of the dry run too.
    if status.name.is_inbox() {
        let what =
            format!("{user}: INBOX cannot be deleted; `postroom message expunge {user} INBOX --uids 1:*` empties it");
        return Err(Fault::new(exit::DATAERR, what));
    }
    let subscribed = named.account.subscriptions()?;
    if execute {
        named.account.delete_mailbox(&status.name)?;
    }
    if json {
        return super::print_json(&json!([describe(&status, &subscribed, config.store.separator)]));
    }
    let counts = status.counts;
    if execute {
        let messages = usize::try_from(counts.messages).unwrap_or(0);
        return super::print(&format!(
            "{user}: {spoken} is deleted, with {} of {} bytes{}\n",
            count(messages, "message"),
            counts.size,
            match subscribed.contains(&status.name) {
                true => format!("; `postroom mailbox unsubscribe {user} {spoken}` ends the subscription"),
                false => String::new(),
            }
        ));
    }
    let row = [
        spoken,
        counts.messages.to_string(),
        counts.unseen.to_string(),
        counts.size.to_string(),
    ];
    super::print(&super::table(["mailbox", "messages", "unseen", "bytes"], [row]))?;
    super::print(super::DRY_RUN)
}

fn subscribe(config: &Config, user: &str, mailbox: &str) -> Result<u8, Fault> {
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    named.account.subscribe(&status.name, true)?;
    super::print(&format!("{user}: subscribed to {}\n", named.spoken(&status.name)))
}

fn unsubscribe(config: &Config, user: &str, mailbox: &str) -> Result<u8, Fault> {
    let name = name(config, mailbox)?;
    let subscribed = match Named::find(config, user)? {
        Some(named) => {
            let was = named.account.subscriptions()?.contains(&name);
            if was {
                named.account.subscribe(&name, false)?;
            }
            was
        }
        None => false,
    };
    if !subscribed {
        let what = format!("{user} has no subscription to {mailbox}");
        return Err(Fault::new(exit::DATAERR, what));
    }
    super::print(&format!("{user}: no longer subscribed to {mailbox}\n"))
}

fn annotate(
    config: &Config,
    user: &str,
    mailbox: &str,
    annotation: Option<&str>,
    value: Option<&str>,
    remove: bool,
) -> Result<u8, Fault> {
    let annotation = annotation.map(AnnotationName::parse).transpose();
    let annotation = annotation.map_err(|error| Fault::new(exit::USAGE, error.to_string()))?;
    let changes = value.is_some() || remove;
    let (named, mailbox) = match mailbox {
        // Asking makes no account.
        "" if changes => (Some(Named::made(config, user)?), None),
        "" => (Named::find(config, user)?, None),
        mailbox => {
            let (named, status) = Named::with_mailbox(config, user, mailbox)?;
            (Some(named), Some(status.name))
        }
    };
    let spoken = mailbox.as_ref().map_or_else(
        || "the server".to_owned(),
        |name| name.to_separated(config.store.separator),
    );
    if let (true, Some(named), Some(annotation)) = (changes, &named, &annotation) {
        named.account.set_annotation(mailbox.as_ref(), annotation, value)?;
        let done = if remove { "is taken away" } else { "is set" };
        return super::print(&format!("{user}: {annotation} of {spoken} {done}\n"));
    }
    let annotations = match &named {
        Some(named) => named.account.annotations(mailbox.as_ref())?,
        None => Annotations::default(),
    };
    let Some(annotation) = annotation else {
        let rows = annotations
            .iter()
            .map(|(name, value)| [name.to_string(), one_line(value)]);
        return super::print(&super::table(["annotation", "value"], rows));
    };
    match annotations.get(&annotation) {
        Some(value) => super::print(&format!("{value}\n")),
        None => {
            let what = format!("{user}: {spoken} has no annotation {annotation}");
            Err(Fault::new(exit::DATAERR, what))
        }
    }
}

fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn set_special_use(config: &Config, user: &str, mailbox: &str, special_use: &str) -> Result<u8, Fault> {
    let special_use = use_of(special_use)?;
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    named.account.set_special_use(&status.name, special_use)?;
    let spoken = named.spoken(&status.name);
    super::print(&match special_use {
        Some(special_use) => format!("{user}: {spoken} is {special_use} now\n"),
        None => format!("{user}: {spoken} has no special use now\n"),
    })
}

fn use_of(text: &str) -> Result<Option<SpecialUse>, Fault> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    if let Some(special_use) = SpecialUse::parse(text) {
        return Ok(Some(special_use));
    }
    let lower = SpecialUse::ALL.map(|special_use| special_use.as_str().to_lowercase());
    let near = nearest(text, lower.iter().map(String::as_str).chain(["none"]));
    let remedy = match near {
        Some(near) => format!(
            "did you mean `{}`?",
            SpecialUse::parse(near).map_or("none", SpecialUse::as_str)
        ),
        None => format!(
            "known are {} and none",
            SpecialUse::ALL.map(SpecialUse::as_str).join(", ")
        ),
    };
    Err(Fault::new(exit::USAGE, format!("{text:?} is no special use; {remedy}")))
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn describe(mailbox: &MailboxStatus, subscribed: &BTreeSet<MailboxName>, separator: char) -> serde_json::Value {
    json!({
        "name": mailbox.name.to_separated(separator),
        "mailboxid": mailbox.mailbox_id,
        "uidvalidity": mailbox.validity.value(),
        "uidnext": mailbox.uid_next.value(),
        "highestmodseq": mailbox.highest_modseq.value(),
        "messages": mailbox.counts.messages,
        "unseen": mailbox.counts.unseen,
        "deleted": mailbox.counts.deleted,
        "size": mailbox.counts.size,
        "special_use": mailbox.special_use.map(|special_use| special_use.to_string()),
        "subscribed": subscribed.contains(&mailbox.name),
    })
}
