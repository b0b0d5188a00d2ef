//! `postroom srs`: senders of redirects as the Sender Rewriting Scheme writes them, and bounces on their way back.

use std::path::Path;

use crate::config::Config;
use crate::mail::{Address, Cause, ReversePath};
use crate::submission::{Content, Kind, Srs};

use super::fault::{Fault, exit};
use super::{deliver, rooms};

/// Rewrite senders of redirects, read them back, and return bounces
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print what a sender is rewritten to
    Encode {
        /// The sender of a message that is redirected
        address: String,
    },
    /// Print the sender that a rewritten address stands for
    Decode {
        /// An address in `srs_domain`
        address: String,
    },
    /// Hand a bounce from standard input to the submission server, for the sender that a rewritten address
    /// stands for: for an MTA's pipe, to which mail for `srs_domain` goes
    Return {
        /// The sender of the message, which must be the null one: only bounces are returned
        #[arg(short = 'f', value_name = "SENDER", allow_hyphen_values = true, default_value = "")]
        sender: String,
        /// The recipient: an address in `srs_domain`
        address: String,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    let srs = rooms::srs(&config)?.ok_or_else(|| {
        let what = "[submission] srs_domain and srs_secret_file are not set";
        Fault::new(exit::CONFIG, what)
    })?;
    match command {
        Command::Encode { address } => {
            let refused = || Fault::new(exit::DATAERR, format!("{address} is too long, or not in plain words"));
            let encoded = srs.encode(&parse(address)?).ok_or_else(refused)?;
            super::print(&format!("{encoded}\n"))?;
        }
        Command::Decode { address } => {
            super::print(&format!("{}\n", decoded(&srs, address)?))?;
        }
        Command::Return { sender, address } => give_back(&config, &srs, sender, address)?,
    }
    Ok(exit::OK)
}

fn parse(address: &str) -> Result<Address, Fault> {
    Address::parse(address).map_err(|error| Fault::new(exit::DATAERR, format!("{address}: {error}")))
}

// Codes as for recipients: whoever is none gets no mail.
fn decoded(srs: &Srs, address: &str) -> Result<Address, Fault> {
    let refused = |why: &dyn std::fmt::Display| Fault::new(exit::NOUSER, format!("{address}: {why}"));
    let parsed = Address::parse(address).map_err(|error| refused(&error))?;
    srs.decode(&parsed).map_err(|error| refused(&error))
}

// Nobody can send anything through here but a bounce, to somebody whose mail went through here.
fn give_back(config: &Config, srs: &Srs, sender: &str, address: &str) -> Result<(), Fault> {
    if deliver::sender(sender)? != ReversePath::Null {
        return Err(Fault::new(exit::NOPERM, format!("{address} takes bounces alone")));
    }
    let to = decoded(srs, address)?;
    let message = deliver::read(config, None)?;
    if message.header().count("Received") > config.limits.hops {
        return Err(Fault::new(exit::NOPERM, "the message has passed here too often"));
    }
    let content = Content::of(&message, !to.is_ascii());
    let submitter = rooms::submitter(config)?;
    let submitted = submitter.submit(&ReversePath::Null, std::slice::from_ref(&to), &content);
    submitted.map(drop).map_err(|error| {
        let code = match error.kind() {
            Kind::Permanent => exit::NOPERM,
            Kind::Temporary => exit::TEMPFAIL,
        };
        Fault::new(
            code,
            format!("the bounce for {to} is not handed over: {}", Cause::of(&error)),
        )
    })
}
