//! The server's side of the agents: one for each account that has mail now.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::monitor::Monitor;
use super::wire::{self, Request};
use crate::delivery::{Elsewhere, Parcel};
use crate::directory::Found;
use crate::ipc::{Channel, is_lost, put, take};
use crate::mail::{Address, Cause, Deferral, Envelope, Outcome, Recipient, ReversePath};

/// Agents that are kept where they have nothing to do; they end by themselves when nobody asks them for a while.
const KEPT: usize = 200;
/// Agents that may end under one request, which others have started.
const TRIES: usize = 3;
/// How long a delivery may take. An MTA waits ten minutes for the reply (RFC 5321 §4.5.3.2.6).
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long an agent may take to read a request.
const WRITE: Duration = Duration::from_secs(30);
/// How long a server that stops waits for what its agents still do.
const FAREWELL: Duration = Duration::from_secs(60);

/// The agents of one configuration.
pub struct Agents {
    monitor: Arc<Monitor>,
    by_user: Mutex<HashMap<String, Arc<Slot>>>,
}

/// The place of one account's agent. While one is started, others who want it wait, and nobody else.
#[derive(Default)]
struct Slot {
    agent: Mutex<Option<Arc<Channel>>>,
    /// Those who ask it or are about to.
    busy: AtomicUsize,
    used: Mutex<Option<Instant>>,
}

/// One who asks, until dropped.
struct Asking(Arc<Slot>);

impl Drop for Asking {
    fn drop(&mut self) {
        *lock(&self.0.used) = Some(Instant::now());
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Agents {
    /// None is started yet.
    #[must_use]
    pub fn new(monitor: Arc<Monitor>) -> Agents {
        Agents {
            monitor,
            by_user: Mutex::default(),
        }
    }

    fn ask(&self, user: &str, request: &Request, message: Option<&File>) -> io::Result<Value> {
        let asking = self.slot(user);
        let text = request.to_json().to_string();
        for _ in 0..TRIES {
            let (agent, is_new) = asking.0.agent(&self.monitor, user)?;
            match ask(&agent, &text, message) {
                // It ended because nobody had asked it for long, or it was killed. What it may have done is recognised.
                Err(error) if is_lost(&error) => asking.0.forget(&agent),
                answer => return answer,
            }
            if is_new {
                break;
            }
        }
        tracing::error!(user, "the process that delivers for an account ended before its time");
        Err(io::Error::other(
            "the process that delivers for the account ended before its time",
        ))
    }

    fn slot(&self, user: &str) -> Asking {
        let mut by_user = lock(&self.by_user);
        if by_user.len() >= KEPT && !by_user.contains_key(user) {
            let idle = by_user.iter().filter(|(_, slot)| slot.busy.load(Ordering::SeqCst) == 0);
            let oldest = idle
                .min_by_key(|(_, slot)| *lock(&slot.used))
                .map(|(user, _)| user.clone());
            if let Some(oldest) = oldest {
                by_user.remove(&oldest);
            }
        }
        let slot = by_user.entry(user.to_owned()).or_default();
        slot.busy.fetch_add(1, Ordering::SeqCst);
        Asking(slot.clone())
    }
}

impl Slot {
    // And whether it was started for this.
    fn agent(&self, monitor: &Monitor, user: &str) -> io::Result<(Arc<Channel>, bool)> {
        let mut agent = lock(&self.agent);
        match &*agent {
            Some(agent) => Ok((agent.clone(), false)),
            None => {
                let started = Arc::new(monitor.agent(user)?);
                Ok((agent.insert(started).clone(), true))
            }
        }
    }

    fn forget(&self, lost: &Arc<Channel>) {
        let mut agent = lock(&self.agent);
        if agent.as_ref().is_some_and(|agent| Arc::ptr_eq(agent, lost)) {
            *agent = None;
        }
    }
}

fn ask(agent: &Channel, text: &str, message: Option<&File>) -> io::Result<Value> {
    let mut stream = agent.request(message.map(AsFd::as_fd))?;
    stream.set_write_timeout(Some(WRITE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    put(&mut stream, text.as_bytes())?;
    Ok(serde_json::from_slice(&take(&mut stream, wire::LIMIT)?)?)
}

fn trouble(what: &str, error: &io::Error) -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new(format!("{what}: {error}"))))
}

fn nonsense() -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new(
        "the process that delivers for the account answers nonsense",
    )))
}

impl Elsewhere for Agents {
    fn refuses(&self, found: &Found, address: &Address, reverse_path: &ReversePath, size: u64) -> Option<Outcome> {
        let request = Request::Resolve {
            address: address.clone(),
            reverse_path: reverse_path.clone(),
            size,
        };
        match self.ask(&found.user, &request, None) {
            Ok(Value::Null) => None,
            Ok(answer) => Some(wire::outcome_from_json(&answer).unwrap_or_else(nonsense)),
            Err(error) => Some(trouble("cannot ask about the account", &error)),
        }
    }

    fn deliver(&self, found: &Found, parcel: &Parcel, recipient: &Recipient) -> Outcome {
        let envelope = Envelope {
            recipients: vec![recipient.clone()],
            // The owner of the account could look into his process: he learns of no other recipient.
            others: parcel.envelope.recipients.len() - 1,
            ..parcel.envelope.clone()
        };
        let request = Request::Deliver {
            id: parcel.id.clone(),
            envelope: Box::new(envelope),
            received: parcel.message.received(),
        };
        let file = match parcel.message.to_file() {
            Ok(file) => file,
            Err(error) => return trouble("cannot hand the message over", &error),
        };
        match self.ask(&found.user, &request, Some(&file)) {
            Ok(answer) => wire::outcome_from_json(&answer).unwrap_or_else(nonsense),
            Err(error) => trouble("cannot deliver for the account", &error),
        }
    }
}

/// The agents end what they have begun, and then themselves.
impl Drop for Agents {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut *lock(&self.by_user));
        let agents: Vec<Arc<Channel>> = slots.values().filter_map(|slot| lock(&slot.agent).take()).collect();
        for agent in &agents {
            agent.close();
        }
        let end = Instant::now() + FAREWELL;
        for agent in &agents {
            // It says nothing over the channel: what there is to be read is its end.
            let _ = agent.wait(end.saturating_duration_since(Instant::now()));
        }
    }
}

// Each change is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
