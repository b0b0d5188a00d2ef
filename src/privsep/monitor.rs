//! The monitor: the one process that stays root, and its server's end.

use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::Start;
use crate::directory::{SystemAccount, SystemAccounts};
use crate::ipc::{self, Channel, Desk, is_lost, put, take};

/// How long a name, or the monitor's answer, may be, in bytes.
const LIMIT: usize = 64 << 10;
/// How long either side may take to say something; a lookup may hang in NSS.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are served at once: the server has bounds of its own.
const AT_ONCE: usize = 256;
/// What the monitor inherits and no agent should: it would speak to the service manager, or take sockets for its own.
const NOT_FOR_AGENTS: [&str; 5] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// For whom there may be an agent; no reload changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The least user id; never root, whatever it is.
    pub minimum_uid: u32,
    /// The folders below which homes lie.
    pub roots: Vec<PathBuf>,
    /// The configuration, which the monitor reads by itself.
    pub file: PathBuf,
}

/// The server's end of it. When it is gone, so is the monitor.
#[derive(Debug)]
pub struct Monitor {
    channel: Channel,
}

/// Why there is no monitor.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the process that delivers for system accounts")]
pub struct MonitorError(#[source] io::Error);

impl Monitor {
    /// Starts it, as root.
    ///
    /// # Errors
    /// [`MonitorError`] where the system gives no socket, no file or no process, or the configuration cannot be read.
    pub fn start(rules: &Rules) -> Result<Monitor, MonitorError> {
        let start = || {
            let (channel, theirs) = Channel::pair()?;
            let mut file = tempfile::tempfile()?;
            file.write_all(rules.to_json().to_string().as_bytes())?;
            file.rewind()?;
            // It ends after this process, so that nobody waits for it.
            ipc::ourselves("monitor", file, theirs).spawn()?;
            let monitor = Monitor { channel };
            monitor.reload()?;
            Ok(monitor)
        };
        start().map_err(MonitorError)
    }

    /// Has it read the configuration again: agents that are started from now on keep to the new one.
    ///
    /// # Errors
    /// Why all stays as it was.
    pub fn reload(&self) -> io::Result<()> {
        self.ask(&json!({"reload": true}), None).map(drop)
    }

    /// Starts an agent, and answers our end of its channel.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn agent(&self, user: &str) -> io::Result<Channel> {
        let (ours, theirs) = Channel::pair()?;
        self.ask(&json!({"agent": user}), Some(&theirs))?;
        Ok(ours)
    }

    fn ask(&self, request: &Value, file: Option<&OwnedFd>) -> io::Result<Value> {
        let answer = self.try_ask(request, file).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::other("the system's accounts do not answer in time"),
            _ if is_lost(&error) => {
                tracing::error!(
                    "the process that starts deliveries is gone; all mail is deferred until postroom is restarted"
                );
                io::Error::other("the process that starts deliveries is gone: restart postroom")
            }
            _ => error,
        })?;
        match answer["error"].as_str() {
            Some(error) => Err(io::Error::other(error.to_owned())),
            None => Ok(answer),
        }
    }

    fn try_ask(&self, request: &Value, file: Option<&OwnedFd>) -> io::Result<Value> {
        let mut stream = self.channel.request(file.map(AsFd::as_fd))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        put(&mut stream, request.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&take(&mut stream, LIMIT)?)?)
    }
}

impl SystemAccounts for Arc<Monitor> {
    fn account(&self, name: &str) -> io::Result<Option<SystemAccount>> {
        let answer = self.ask(&json!({"find": name}), None)?;
        match &answer["account"] {
            Value::Null => Ok(None),
            account => account_from_json(account)
                .map(Some)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no account")),
        }
    }
}

/// An account in words.
pub(super) fn account_to_json(account: &SystemAccount) -> Value {
    let SystemAccount { name, uid, gid, home } = account;
    json!({"name": name, "uid": uid, "gid": gid, "home": home})
}

/// What [`account_to_json`] wrote; none where it is something else.
pub(super) fn account_from_json(value: &Value) -> Option<SystemAccount> {
    let id = |key: &str| u32::try_from(value[key].as_u64()?).ok();
    Some(SystemAccount {
        name: value["name"].as_str()?.to_owned(),
        uid: id("uid")?,
        gid: id("gid")?,
        home: value["home"].as_str()?.into(),
    })
}

impl Rules {
    fn to_json(&self) -> Value {
        json!({"minimum_uid": self.minimum_uid, "roots": self.roots, "file": self.file})
    }

    fn from_json(value: &Value) -> Option<Rules> {
        let roots = value["roots"].as_array()?.iter();
        Some(Rules {
            minimum_uid: u32::try_from(value["minimum_uid"].as_u64()?).ok()?,
            roots: roots
                .map(|root| root.as_str().map(PathBuf::from))
                .collect::<Option<_>>()?,
            file: value["file"].as_str()?.into(),
        })
    }

    fn find(&self, name: &str) -> io::Result<Option<SystemAccount>> {
        let found = SystemAccount::find(name, self.minimum_uid.max(1))?;
        // Where a root or a home is a link, it is the agent that looks where that leads, with its own rights.
        match found {
            // What the agent is told is text.
            Some(account) if account.home.to_str().is_none() => Err(io::Error::other(format!(
                "the home {} of {} is not UTF-8",
                account.home.display(),
                account.name
            ))),
            Some(account) if !self.has_home(&account.home) => Err(io::Error::other(format!(
                "the home {} of {} lies below none of [confinement] roots: name its folder there and restart",
                account.home.display(),
                account.name
            ))),
            found => Ok(found),
        }
    }

    fn has_home(&self, home: &Path) -> bool {
        let plain = home.components().all(|part| part != Component::ParentDir);
        plain && self.roots.iter().any(|root| home.starts_with(root))
    }
}

/// Reads the configuration and finds no fault in it, or says which.
pub type Load = fn(&Path) -> Result<String, String>;

/// The process `postroom helper monitor`: looks accounts up and starts agents, until the server is gone. Its standard
/// input is the file of the rules, its standard output the channel.
///
/// # Errors
/// Where it is started otherwise.
pub fn watch(load: Load) -> io::Result<()> {
    ipc::outlive_stops()?;
    let (mut file, channel) = ipc::given()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let rules = Rules::from_json(&serde_json::from_str(&text)?);
    let watched = Arc::new(Watched {
        rules: rules.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no rules"))?,
        load,
        config: Mutex::default(),
    });
    let desk = Desk::new(AT_ONCE);
    while let Some((mut stream, handed)) = channel.receive()? {
        let watched = watched.clone();
        desk.serve(move || {
            let served = serve(&watched, &mut stream, handed);
            // The server is gone, or lost patience.
            drop(served);
        });
    }
    desk.close();
    Ok(())
}

struct Watched {
    rules: Rules,
    load: Load,
    /// The text of the configuration, in which there was no fault.
    config: Mutex<Arc<str>>,
}

fn serve(watched: &Watched, stream: &mut (impl Read + Write), handed: Option<OwnedFd>) -> io::Result<()> {
    let request: Value = serde_json::from_slice(&take(stream, LIMIT)?)?;
    let answer = watched.answer(&request, handed);
    let answer = answer.unwrap_or_else(|error| json!({"error": error.to_string()}));
    put(stream, answer.to_string().as_bytes())
}

impl Watched {
    fn answer(&self, request: &Value, handed: Option<OwnedFd>) -> io::Result<Value> {
        if let Some(name) = request["find"].as_str() {
            let found = self.rules.find(name)?;
            return Ok(json!({"account": found.as_ref().map(account_to_json)}));
        }
        if let (Some(name), Some(channel)) = (request["agent"].as_str(), handed) {
            let Some(account) = self.rules.find(name)? else {
                return Err(io::Error::other(format!(
                    "the system has no account {name} that gets mail"
                )));
            };
            return self.start(account, channel).map(|()| json!({}));
        }
        if request["reload"] == true {
            let config = (self.load)(&self.rules.file).map_err(io::Error::other)?;
            *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config.into();
            return Ok(json!({}));
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no request"))
    }

    fn start(&self, account: SystemAccount, channel: OwnedFd) -> io::Result<()> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (name, home) = (account.name.clone(), account.home.clone());
        let start = Start {
            account,
            roots: self.rules.roots.clone(),
            file: self.rules.file.clone(),
            config: config.to_string(),
        };
        let mut told = tempfile::tempfile()?;
        told.write_all(start.to_json().to_string().as_bytes())?;
        told.rewind()?;
        let mut agent = ipc::ourselves("agent", told, channel);
        for variable in NOT_FOR_AGENTS {
            agent.env_remove(variable);
        }
        agent.env("USER", &name).env("LOGNAME", &name).env("HOME", &home);
        let mut child = agent.current_dir("/").spawn()?;
        // Somebody must wait for it, or it stays in the table of processes.
        let _ = thread::Builder::new().stack_size(64 << 10).spawn(move || child.wait());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(roots: &[&str]) -> Rules {
        Rules {
            minimum_uid: 1000,
            roots: roots.iter().map(PathBuf::from).collect(),
            file: "/etc/postroom/postroom.toml".into(),
        }
    }

    #[test]
    fn rules_arrive_as_they_were_made() {
        let rules = rules(&["/home", "/srv/a b"]);
        assert_eq!(Rules::from_json(&rules.to_json()), Some(rules));
        assert_eq!(Rules::from_json(&json!({"roots": []})), None);
    }

    #[test]
    fn homes_lie_below_the_roots() {
        let rules = rules(&["/home", "/srv/mail"]);
        for (home, inside) in [
            ("/home/ann", true),
            ("/home/staff/ann", true),
            ("/srv/mail/ann", true),
            ("/homes/ann", false),
            ("/home/../etc", false),
            ("/home/ann/../../etc", false),
            ("/root", false),
            ("/", false),
            ("home/ann", false),
        ] {
            assert_eq!(rules.has_home(Path::new(home)), inside, "{home}");
        }
    }

    #[test]
    fn root_gets_no_mail_whatever_the_rules_say() {
        let rules = Rules {
            minimum_uid: 0,
            ..rules(&["/"])
        };
        assert_eq!(rules.find("root").unwrap(), None);
    }

    fn refused(_: &Path) -> Result<String, String> {
        Err("line 3 is wrong".to_owned())
    }

    #[test]
    fn what_is_asked_otherwise_is_refused() {
        let watched = Watched {
            rules: rules(&["/home"]),
            load: refused,
            config: Mutex::default(),
        };
        for (request, why) in [
            (json!({}), "no request"),
            (json!({"agent": "root"}), "no request"),
            (json!({"find": 1}), "no request"),
            (json!({"reload": "yes"}), "no request"),
            (json!({"reload": true}), "line 3 is wrong"),
        ] {
            let error = watched.answer(&request, None).unwrap_err().to_string();
            assert!(error.contains(why), "{request}: {error}");
        }
        let (_, channel) = Channel::pair().unwrap();
        let error = watched.answer(&json!({"agent": "root"}), Some(channel)).unwrap_err();
        assert!(error.to_string().contains("no account root that gets mail"), "{error}");
    }
}
