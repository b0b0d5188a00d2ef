//! What ManageSieve asks for, done to the scripts of an account. It blocks.

use std::path::Path;

use crate::delivery::Sorter;
use crate::directory::Found;
use crate::mail::Cause;
use crate::managesieve::{Answer, Refusal, Request};
use crate::sieve::{Checked, Script, ScriptName, Storage, StorageError, StorageOptions};

/// Carries out a request of the owner of an account.
pub(super) fn carry_out(sorter: &Sorter, options: &StorageOptions, found: &Found, request: Request) -> Answer {
    let account = Account {
        sorter,
        found,
        storage: Storage::new(&found.home, options.clone()),
    };
    account.carry_out(request).unwrap_or_else(Answer::Refused)
}

struct Account<'a> {
    sorter: &'a Sorter,
    found: &'a Found,
    storage: Storage,
}

impl Account<'_> {
    fn carry_out(&self, request: Request) -> Result<Answer, Refusal> {
        let failed = |error| self.refusal(error);
        match request {
            Request::HaveSpace { name, size } => self.storage.has_space(&name, size).map_err(failed)?,
            Request::PutScript { name, source } => return self.put(&name, &source),
            Request::ListScripts => {
                let stored = self.storage.list().map_err(failed)?.into_iter();
                return Ok(Answer::Scripts(
                    stored.map(|script| (script.name, script.active)).collect(),
                ));
            }
            Request::SetActive(Some(name)) => return self.activate(&name),
            Request::SetActive(None) => {
                self.storage.activate(None).map_err(failed)?;
                self.log("no script is active any more");
            }
            Request::GetScript(name) => return self.storage.read(&name).map(Answer::Script).map_err(failed),
            Request::DeleteScript(name) => {
                self.storage.delete(&name).map_err(failed)?;
                self.log(&format!("script {name:?} deleted"));
            }
            Request::RenameScript { from, to } => {
                self.storage.rename(&from, &to).map_err(failed)?;
                self.log(&format!("script {from:?} renamed to {to:?}"));
            }
            Request::CheckScript(source) => return Ok(Answer::Checked(self.check("script", &source))),
        }
        Ok(Answer::Done)
    }

    // RFC 5804 §2.6: what does not compile is not stored.
    fn put(&self, name: &ScriptName, source: &[u8]) -> Result<Answer, Refusal> {
        let failed = |error| self.refusal(error);
        self.storage.has_space(name, source.len() as u64).map_err(failed)?;
        let checked = self.check(name.as_str(), source);
        if checked.errors.is_empty() {
            self.make_home(&self.found.home)?;
            self.storage.write(name, source).map_err(failed)?;
            self.log(&format!("script {name:?} stored, {} bytes", source.len()));
        }
        Ok(Answer::Checked(checked))
    }

    // It may have come otherwise than by PUTSCRIPT, or before the engine changed.
    fn activate(&self, name: &ScriptName) -> Result<Answer, Refusal> {
        let failed = |error| self.refusal(error);
        let source = self.storage.read(name).map_err(failed)?;
        let checked = self.check(name.as_str(), &source);
        if checked.errors.is_empty() {
            self.storage.activate(Some(name)).map_err(failed)?;
            self.log(&format!("script {name:?} is active"));
        }
        Ok(Answer::Checked(checked))
    }

    fn check(&self, name: &str, source: &[u8]) -> Checked {
        self.sorter.engine().check(&Script::new(name, source))
    }

    // Whose first script comes before his first message: the account is made as for that.
    fn make_home(&self, home: &Path) -> Result<(), Refusal> {
        if home.is_dir() {
            return Ok(());
        }
        match self.sorter.account(&self.found.user, home) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(user = self.found.user, cause = %Cause::of(&error), "cannot make an account for its scripts");
                Err(Refusal::TryLater)
            }
        }
    }

    fn refusal(&self, error: StorageError) -> Refusal {
        match error {
            StorageError::NoScript => Refusal::NoScript,
            StorageError::Exists => Refusal::Exists,
            StorageError::Active => Refusal::Active,
            StorageError::TooManyScripts { .. } => Refusal::TooManyScripts(error.to_string()),
            StorageError::TooLarge { .. } => Refusal::TooLarge(error.to_string()),
            StorageError::OverQuota { .. } => Refusal::OverQuota(error.to_string()),
            StorageError::NotALink { .. } => {
                self.log_failure(&error);
                Refusal::Other("Scripts cannot be changed as this account is: ask the postmaster".to_owned())
            }
            StorageError::Locked { .. } | StorageError::Io { .. } => {
                self.log_failure(&error);
                Refusal::TryLater
            }
        }
    }

    fn log(&self, what: &str) {
        tracing::info!("managesieve: {}: {what}", self.found.user);
    }

    fn log_failure(&self, error: &StorageError) {
        tracing::error!("managesieve: {}: {}", self.found.user, Cause::of(error));
    }
}
