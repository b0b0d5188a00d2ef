//! A script run over mail that is there already.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::Config;
use crate::delivery::{ApplyError, Deed, May, NotRedirected, Ruling, Undone};
use crate::directory::Found;
use crate::mail::{Cause, Flags, MailboxName, Uid, UidSet};
use crate::sieve::{Script, load_user};
use crate::store::Detail;

use super::super::fault::{Fault, exit};
use super::super::message::shortened;
use super::super::named::{Named, Selection, count};
use super::super::progress::Progress;
use super::super::{DRY_RUN, print, print_json, rooms, table};
use super::check;
use super::scripts::{Owned, readable};
use super::{script_file, script_name};

/// Messages that are judged, and then seen to, at a time.
const SLICE: usize = 50;

/// Run a script over mail that is there.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Apply {
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Run this script of the user's, not the active one
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    script: Option<String>,
    /// Run the script in this file; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Remove for good what the script discards, where no mailbox is for \Trash
    #[arg(long)]
    expunge: bool,
    /// Redirect what the script redirects; without it such a message stays
    #[arg(long)]
    redirect: bool,
    #[command(flatten)]
    selection: Selection,
    /// The user: an address, or a name
    user: String,
    /// The mailbox
    mailbox: String,
}

/// A message to which something happens.
struct Told {
    ruling: Ruling,
    from: String,
    subject: String,
    failed: Vec<String>,
}

/// What is said of all of them. The messages themselves would be too many to hold.
enum Said {
    Json(Vec<Value>),
    Rows(Vec<[String; 4]>),
}

/// How many messages had what happen to them.
#[derive(Default)]
struct Totals {
    looked_at: usize,
    moved: usize,
    copied: usize,
    flagged: usize,
    redirected: usize,
    removed: usize,
    undone: usize,
    failed: usize,
    errors: usize,
}

pub(super) fn apply(config: &Config, apply: &Apply) -> Result<u8, Fault> {
    // Before root becomes the owner of the mail, who may not read this file.
    let given = apply
        .file
        .as_deref()
        .map(|file| script_file(config, file, "(standard input)"));
    let given = given.transpose()?;
    let (named, status) = Named::with_mailbox(config, &apply.user, &apply.mailbox)?;
    let found = rooms::find(config, &apply.user)?;
    let script = match given {
        Some(script) => script,
        None => of_user(config, apply, &found)?,
    };
    let checked = rooms::engine(config).check(&script);
    if !checked.errors.is_empty() {
        let shown = check::for_people(&script.name, &checked);
        return Err(Fault::new(
            exit::DATAERR,
            format!("nothing is done:\n\n{}", shown.trim_end()),
        ));
    }
    let chosen = apply.selection.find(&named, &status.name)?;
    let (said, totals) = run(config, apply, (&named, &found), &status.name, script, &chosen)?;
    match said {
        Said::Json(values) => print_json(&values.into())?,
        Said::Rows(rows) => print(&for_people(apply, rows, &totals))?,
    };
    Ok(match (totals.failed, totals.errors) {
        (0, 0) => exit::OK,
        (0, _) => exit::DATAERR,
        _ => exit::TEMPFAIL,
    })
}

fn of_user(config: &Config, apply: &Apply, found: &Found) -> Result<Script, Fault> {
    if let Some(name) = &apply.script {
        let name = script_name(name)?;
        let owned = Owned::find(config, &apply.user)?;
        let source = readable(owned.storage.read(&name), &owned, &name)?;
        return Ok(Script::new(name.as_str(), source));
    }
    let active = load_user(&found.home, config.sieve.max_script_size);
    let active = active.map_err(|error| Fault::new(exit::DATAERR, error.to_string()))?;
    active.ok_or_else(|| {
        let what = format!("{} has no active script: name one with --script or --file", apply.user);
        Fault::new(exit::DATAERR, what)
    })
}

fn run(
    config: &Config,
    apply: &Apply,
    (named, found): (&Named<'_>, &Found),
    mailbox: &MailboxName,
    script: Script,
    chosen: &[Uid],
) -> Result<(Said, Totals), Fault> {
    let sorter = rooms::sorter(config)?;
    let may = May {
        expunge: apply.expunge,
        redirect: apply.redirect,
    };
    let account = &*named.account;
    let mut application = sorter.apply((found, account), mailbox, script, rooms::spool(config), may)?;
    let bar = (chosen.len() > SLICE).then(|| Progress::new(chosen.len(), "messages"));
    let mut totals = Totals::default();
    let mut said = match apply.json {
        true => Said::Json(Vec::new()),
        false => Said::Rows(Vec::new()),
    };
    for slice in chosen.chunks(SLICE) {
        let mut rulings = application.judge(slice)?;
        totals.looked_at += rulings.len();
        rulings.retain(|ruling| !ruling.is_nothing());
        // What was moved can no longer be described.
        let uids: UidSet = rulings.iter().map(|ruling| ruling.uid).collect();
        let details = match rulings.is_empty() {
            true => Vec::new(),
            false => account.details(mailbox, &uids)?,
        };
        let failed = match apply.execute {
            true => application.carry_out(&rulings)?,
            false => Vec::new(),
        };
        let told = tell(rulings, &details, &failed, &mut totals);
        match &mut said {
            Said::Json(values) => values.extend(told.iter().map(|told| describe(named, told))),
            Said::Rows(rows) => rows.extend(told.iter().map(|told| row(named, told))),
        }
        if let Some(bar) = &bar {
            bar.step(slice.len());
        }
    }
    Ok((said, totals))
}

fn tell(rulings: Vec<Ruling>, details: &[Detail], failed: &[NotRedirected], totals: &mut Totals) -> Vec<Told> {
    let details: HashMap<Uid, &Detail> = details.iter().map(|detail| (detail.entry.uid, detail)).collect();
    let mut all = Vec::new();
    for mut ruling in rulings {
        let of_this = failed.iter().filter(|failed| failed.uid == ruling.uid);
        let failed: Vec<String> = of_this
            .map(|failed| format!("redirect to {}: {}", failed.address, Cause::of(&failed.error)))
            .collect();
        if !failed.is_empty() {
            // It stayed, then.
            let stays = |deed: &Deed| !matches!(deed, Deed::Redirect { .. } | Deed::Move { .. } | Deed::Expunge);
            ruling.deeds.retain(stays);
        }
        totals.add(&ruling, failed.len());
        let summary = details.get(&ruling.uid).map(|detail| detail.card.summary());
        let (from, subject) = summary
            .map(|summary| (summary.from, summary.subject))
            .unwrap_or_default();
        all.push(Told {
            ruling,
            from,
            subject,
            failed,
        });
    }
    all
}

impl Totals {
    fn add(&mut self, ruling: &Ruling, failed: usize) {
        let one = |is: fn(&Deed) -> bool| usize::from(ruling.deeds.iter().any(is));
        self.moved += one(|deed| matches!(deed, Deed::Move { .. }));
        self.copied += one(|deed| matches!(deed, Deed::Copy { .. }));
        self.flagged += one(|deed| matches!(deed, Deed::Flag(_) | Deed::FlagCopy { .. }));
        self.redirected += one(|deed| matches!(deed, Deed::Redirect { .. }));
        self.removed += one(|deed| matches!(deed, Deed::Expunge));
        self.undone += usize::from(!ruling.undone.is_empty());
        self.failed += usize::from(failed > 0);
        self.errors += usize::from(ruling.error.is_some());
    }

    fn words(&self) -> String {
        let mut words = vec![format!("{} looked at", count(self.looked_at, "message"))];
        for (number, what) in [
            (self.moved, "moved"),
            (self.copied, "copied"),
            (self.flagged, "flagged"),
            (self.redirected, "redirected"),
            (self.removed, "removed"),
            (self.undone, "with something that is not done"),
            (self.failed, "not redirected"),
            (self.errors, "with an error of the script"),
        ] {
            if number > 0 {
                words.push(format!("{number} {what}"));
            }
        }
        words.join(", ")
    }
}

fn for_people(apply: &Apply, rows: Vec<[String; 4]>, totals: &Totals) -> String {
    let mut text = table(["uid", "from", "subject", "becomes"], rows);
    text.push_str(&format!("{} of {}: {}\n", apply.mailbox, apply.user, totals.words()));
    if !apply.execute {
        text.push_str(DRY_RUN);
    }
    text
}

fn row(named: &Named<'_>, told: &Told) -> [String; 4] {
    [
        told.ruling.uid.to_string(),
        shortened(&told.from),
        shortened(&told.subject),
        words(named, told).join("; "),
    ]
}

fn words(named: &Named<'_>, told: &Told) -> Vec<String> {
    let deeds = told.ruling.deeds.iter().map(|deed| match deed {
        Deed::Copy { mailbox, flags } if flags.is_empty() => format!("copied to {}", named.spoken(mailbox)),
        Deed::Copy { mailbox, flags } => format!("copied to {} with {flags}", named.spoken(mailbox)),
        Deed::FlagCopy { mailbox, flags, .. } => format!("its copy in {} gets {flags}", named.spoken(mailbox)),
        Deed::Flag(flags) => format!("gets {flags}"),
        Deed::Redirect { address, .. } => format!("redirected to {address}"),
        Deed::Move {
            mailbox,
            discarded: true,
        } => format!("discarded: moved to {}", named.spoken(mailbox)),
        Deed::Move { mailbox, .. } => format!("moved to {}", named.spoken(mailbox)),
        Deed::Expunge => "discarded: removed for good".to_owned(),
    });
    let undone = told.ruling.undone.iter();
    let undone = undone.map(|Undone { what, why }| format!("not done: {what} ({why})"));
    let failed = told.failed.iter().map(|failed| format!("failed: {failed}"));
    let error = told.ruling.error.iter().map(|error| format!("error: {error}"));
    deeds.chain(undone).chain(failed).chain(error).collect()
}

fn describe(named: &Named<'_>, told: &Told) -> Value {
    let names = |flags: &Flags| flags.names().map(str::to_owned).collect::<Vec<_>>();
    let deeds = told.ruling.deeds.iter().map(|deed| match deed {
        Deed::Copy { mailbox, flags } => {
            json!({"action": "copy", "mailbox": named.spoken(mailbox), "flags": names(flags)})
        }
        Deed::FlagCopy { mailbox, uid, flags } => json!({
            "action": "flag",
            "mailbox": named.spoken(mailbox),
            "uid": uid.value(),
            "flags": names(flags),
        }),
        Deed::Flag(flags) => json!({"action": "flag", "flags": names(flags)}),
        Deed::Redirect { address, .. } => json!({"action": "redirect", "address": address.to_string()}),
        Deed::Move { mailbox, discarded } => {
            json!({"action": "move", "mailbox": named.spoken(mailbox), "discarded": discarded})
        }
        Deed::Expunge => json!({"action": "expunge"}),
    });
    let undone = told.ruling.undone.iter();
    let undone = undone.map(|Undone { what, why }| json!({"what": what, "why": why}));
    json!({
        "uid": told.ruling.uid.value(),
        "from": told.from,
        "subject": told.subject,
        "actions": deeds.collect::<Value>(),
        "not_done": undone.collect::<Value>(),
        "failed": told.failed,
        "error": told.ruling.error.as_ref().map(ToString::to_string),
    })
}

impl From<ApplyError> for Fault {
    fn from(error: ApplyError) -> Fault {
        match error {
            ApplyError::Store(error) => error.into(),
            error => Fault::new(exit::TEMPFAIL, Cause::of(&error).to_string()),
        }
    }
}
