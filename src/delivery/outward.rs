//! What leaves the store with the delivery: redirects, and programs of the site.

use ring::digest::{SHA256, digest};

use crate::mail::{Cause, Notify, Ret};
use crate::sieve::RedirectDsn;
use crate::store::{ActionKind, Step};
use crate::submission::{Content, Dsn, Kind, Receipt, SubmitError, already_redirected, orcpt};

use super::failure::Failure;
use super::programs::Piped;
use super::wishes::{Pipe, Redirect};
use super::{Delivery, Sorter};

/// What became of redirects.
#[derive(Default)]
pub(super) struct Redirected {
    /// To whom it went.
    pub(super) to: Vec<String>,
    /// Whether a copy must stay here, because one was refused for good or would make a loop.
    pub(super) kept: bool,
    /// Whether it went where nobody tells the sender what he asked to be told.
    pub(super) silent: bool,
    /// Whether a program took it, which is a delivery.
    pub(super) piped: bool,
}

impl Sorter {
    pub(super) fn redirect(&self, delivery: &Delivery<'_>, redirects: &[Redirect]) -> Result<Redirected, Failure> {
        let Delivery {
            parcel,
            recipient,
            found,
            account,
            key,
            ..
        } = delivery;
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        let mut done = Redirected::default();
        for redirect in redirects {
            let address = &redirect.address;
            let about = format!("redirect to {address}");
            if already_redirected(parcel.message.header(), owner) {
                let why = "the message has come back from an earlier redirect of yours";
                self.tell_of_action(delivery, &about, why);
                delivery
                    .chronicle
                    .failed(ActionKind::Redirect, &address.to_string(), why);
                done.kept = true;
                continue;
            }
            let step = Step::Redirected(address.clone());
            if account.step(*key, &step)?.is_none() {
                match self.send_on(delivery, redirect) {
                    Ok(receipt) => {
                        account.put_step(*key, &step, &parcel.id)?;
                        done.silent |= !(receipt.dsn && self.submitter.redirects_lead_back());
                    }
                    Err(error) if error.kind() == Kind::Permanent => {
                        let why = Cause::of(&error).to_string();
                        self.tell_of_action(delivery, &about, &why);
                        delivery
                            .chronicle
                            .failed(ActionKind::Redirect, &address.to_string(), &why);
                        done.kept = true;
                        continue;
                    }
                    Err(source) => {
                        let why = Cause::of(&source).to_string();
                        delivery
                            .chronicle
                            .failed(ActionKind::Redirect, &address.to_string(), &why);
                        return Err(Failure::Redirect {
                            address: address.to_string(),
                            source,
                        });
                    }
                }
            }
            delivery.chronicle.done(ActionKind::Redirect, &address.to_string());
            done.to.push(address.to_string());
        }
        Ok(done)
    }

    fn send_on(&self, delivery: &Delivery<'_>, redirect: &Redirect) -> Result<Receipt, SubmitError> {
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        let came = &parcel.message;
        let message = redirect.edition.as_ref().unwrap_or(came);
        let content = Content::redirect(message, came.header(), owner, parcel.envelope.smtputf8);
        let sender = self.submitter.redirect_sender(&parcel.envelope.reverse_path, owner);
        let known_as = recipient.original.as_ref().unwrap_or(&recipient.address);
        let mut dsn = wishes(&redirect.dsn, delivery, self.submitter.redirects_lead_back());
        // Who asks to be told wants to know of whom.
        if dsn.recipient.notify.is_some() {
            dsn.recipient.orcpt.get_or_insert_with(|| orcpt(known_as));
        }
        let to = std::slice::from_ref(&redirect.address);
        let _passing = self.outlet.pass().ok_or(SubmitError::Busy)?;
        self.submitter.submit_with(&dsn, &sender, to, &content)
    }

    // Answers which programs took it, and whether a copy must stay here because one did not. `elsewhere` is
    // whether it lies or went somewhere else, so that an attempt (`:try`) may fail without one.
    pub(super) fn pipe(
        &self,
        delivery: &Delivery<'_>,
        pipes: &[Pipe],
        elsewhere: bool,
    ) -> Result<(Vec<String>, bool), Failure> {
        let Delivery {
            parcel, account, key, ..
        } = delivery;
        let (mut piped, mut kept) = (Vec::new(), false);
        for pipe in pipes {
            let step = Step::Piped(label(pipe));
            if account.step(*key, &step)?.is_none() {
                let message = pipe.edition.as_ref().unwrap_or(&parcel.message);
                match self.run_pipe(delivery, pipe, message) {
                    Piped::Taken => account.put_step(*key, &step, &parcel.id)?,
                    Piped::Later(source) => {
                        let chronicle = &delivery.chronicle;
                        chronicle.failed(ActionKind::Pipe, &pipe.program, &source.to_string());
                        return Err(Failure::Program {
                            program: pipe.program.clone(),
                            why: source,
                        });
                    }
                    Piped::Failed(why) => {
                        self.tell_of_program(delivery, pipe, &why);
                        delivery.chronicle.failed(ActionKind::Pipe, &pipe.program, &why);
                        kept |= !(pipe.attempt && elsewhere);
                        continue;
                    }
                }
            }
            delivery.chronicle.done(ActionKind::Pipe, &pipe.program);
            piped.push(format!("|{}", pipe.program));
        }
        Ok((piped, kept))
    }

    // `:try`: that it may fail is what the owner expects, so that the log alone hears of it.
    fn tell_of_program(&self, delivery: &Delivery<'_>, pipe: &Pipe, why: &str) {
        let about = format!("pipe to {}", pipe.program);
        match pipe.attempt {
            true => {
                let Delivery { parcel, found, .. } = delivery;
                tracing::info!(id = %parcel.id, user = %found.user, "{about}: {why}; the script only tries it");
            }
            false => self.tell_of_action(delivery, &about, why),
        }
    }
}

// RFC 6009 §4: what the script asks for; where it is silent, what the sender asked for goes on with the message
// (RFC 3461 §5.2.7.3), as long as the notifications go to him.
fn wishes(asked: &RedirectDsn, delivery: &Delivery<'_>, of_sender: bool) -> Dsn {
    let Delivery { parcel, recipient, .. } = delivery;
    let mut dsn = match of_sender {
        true => Dsn {
            message: parcel.envelope.dsn.clone(),
            recipient: recipient.dsn.clone(),
        },
        false => Dsn::default(),
    };
    let notify = asked.notify.as_deref().and_then(Notify::parse);
    let ret = asked.ret.as_deref().and_then(Ret::parse);
    dsn.recipient.notify = notify.or(dsn.recipient.notify);
    dsn.message.ret = ret.or(dsn.message.ret);
    dsn
}

// The name, and what tells its arguments from others; what a script makes of them has no bound.
fn label(pipe: &Pipe) -> String {
    if pipe.arguments.is_empty() {
        return pipe.program.clone();
    }
    let mut text = Vec::new();
    for argument in &pipe.arguments {
        text.extend_from_slice(&(argument.len() as u64).to_be_bytes());
        text.extend_from_slice(argument.as_bytes());
    }
    let digest = digest(&SHA256, &text);
    let hex: String = digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{} {hex}", pipe.program)
}
