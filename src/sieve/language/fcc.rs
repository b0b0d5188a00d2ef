//! `:fcc` and the tags that belong to it: RFC 8580.

use super::actions::{Destination, Found};
use super::arguments::Arguments;
use super::checker::Checker;
use super::extension::Extension;
use super::flags::ActionFlags;
use super::run::{Run, Stop};
use crate::sieve::step::FccStep;

/// Where a copy of what an action writes goes.
#[derive(Debug)]
pub(super) struct FileCopy {
    destination: Destination,
    flags: ActionFlags,
}

impl FileCopy {
    /// Takes `:fcc` with `:flags` (RFC 8580 §3.1), `:create`, `:specialuse` and `:mailboxid` (RFC 9042);
    /// none where it is not there, or wrong, which the checker then knows.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<FileCopy> {
        if !arguments.peek("fcc") {
            return FileCopy::absent(arguments, checker);
        }
        let flags = ActionFlags::take(arguments, checker);
        let destination = Destination::take(arguments, checker, |arguments, checker| {
            arguments.tagged_text(checker, "fcc", Some(Extension::Fcc))
        });
        Some(FileCopy {
            destination: destination?,
            flags,
        })
    }

    // RFC 8580 §3.1: without it the others mean nothing.
    fn absent(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<FileCopy> {
        // Asked for, so that a mistyped tag finds it.
        arguments.tag(checker, "fcc", None);
        for tag in ["create", "specialuse", "mailboxid", "flags"] {
            if arguments.peek(tag)
                && let Some(place) = arguments.tag(checker, tag, None)
            {
                return checker.error(place, format!("`:{tag}` stands here only with `:fcc`"));
            }
        }
        None
    }

    /// The mailbox as it is now.
    pub(super) fn value(&self, run: &mut Run<'_>) -> Result<FccStep, Stop> {
        let Found {
            mailbox,
            create,
            special_use,
        } = self.destination.find(run)?;
        Ok(FccStep {
            mailbox,
            flags: self.flags.given(run)?,
            create,
            special_use,
        })
    }
}
