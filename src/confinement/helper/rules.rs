//! What the helper runs, and how: it trusts its server no further.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::submission::program::{self, Environment, Job};

/// The variables of a script's program.
const FOR_SCRIPTS: &[&str] = &["PATH", "HOME", "USER", "HOST", "SENDER", "RECIPIENT", "ORIG_RECIPIENT"];
/// Where programs of scripts find others.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The variables of a warning.
const FOR_WARNINGS: &[&str] = &["USER", "PERCENT", "USED", "LIMIT"];

/// The programs of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The sendmail program of `[submission]`.
    pub sendmail: Option<PathBuf>,
    /// Programs that scripts may run.
    pub scripts: Option<Scripts>,
    /// Commands of `[[quota.warning]]`, with `{user}` and the like in their arguments.
    pub warnings: Vec<Vec<String>>,
    /// How long any of them may run.
    pub time: Duration,
    /// How much one may write that is listened to, in bytes.
    pub output: usize,
    /// How many run at once; others wait.
    pub at_once: usize,
}

/// Programs that scripts may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripts {
    /// Where they lie.
    pub folder: PathBuf,
    /// Where the homes lie in which they run.
    pub roots: Vec<PathBuf>,
}

impl Rules {
    /// Whether nothing may be run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sendmail.is_none() && self.scripts.is_none() && self.warnings.is_empty()
    }

    /// Whether a job may be done.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(super) fn check(&self, job: &Job) -> Result<(), String> {
        if job.time > self.time || job.output.is_some_and(|output| output > self.output) {
            return Err("it asks for more than its limits".to_owned());
        }
        if self.sendmail.as_ref() == Some(&job.program) {
            return check_sendmail(job);
        }
        if let Some(scripts) = &self.scripts
            && job.program.parent() == Some(&scripts.folder)
        {
            return scripts.check(job);
        }
        match self.warnings.iter().any(|warning| fits(warning, job)) {
            true => Ok(()),
            false => Err(format!(
                "{} was not configured when postroom started, and a reload cannot add it: restart postroom",
                job.program.display()
            )),
        }
    }

    /// For [`Rules::from_json`].
    pub(super) fn to_json(&self) -> Value {
        let scripts = self.scripts.as_ref();
        json!({
            "sendmail": self.sendmail,
            "folder": scripts.map(|scripts| &scripts.folder),
            "roots": scripts.map(|scripts| &scripts.roots),
            "warnings": self.warnings,
            "milliseconds": u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX),
            "output": self.output,
            "at_once": self.at_once,
        })
    }

    /// What [`Rules::to_json`] wrote; none where it is something else.
    pub(super) fn from_json(value: &Value) -> Option<Rules> {
        let path = |key: &str| value[key].as_str().map(PathBuf::from);
        let scripts = match path("folder") {
            Some(folder) => Some(Scripts {
                folder,
                roots: strings(&value["roots"])?.into_iter().map(PathBuf::from).collect(),
            }),
            None => None,
        };
        Some(Rules {
            sendmail: path("sendmail"),
            scripts,
            warnings: value["warnings"]
                .as_array()?
                .iter()
                .map(strings)
                .collect::<Option<_>>()?,
            time: Duration::from_millis(value["milliseconds"].as_u64()?),
            output: usize::try_from(value["output"].as_u64()?).ok()?,
            at_once: usize::try_from(value["at_once"].as_u64()?).ok()?,
        })
    }
}

/// An array of strings.
pub(super) fn strings(value: &Value) -> Option<Vec<String>> {
    let values = value.as_array()?.iter();
    values.map(|value| value.as_str().map(str::to_owned)).collect()
}

// As `submission` calls it: no option but the sender's, which is none of sendmail's own.
fn check_sendmail(job: &Job) -> Result<(), String> {
    let [dot, from, _, end, _, ..] = job.arguments.as_slice() else {
        return Err("sendmail without its arguments".to_owned());
    };
    let asked = [dot.as_str(), from, end];
    let plain = asked == ["-i", "-f", "--"] && job.folder.is_none() && job.output.is_none();
    match plain && job.environment == Environment::With(Vec::new()) {
        true => Ok(()),
        false => Err("sendmail is asked for something else than to take a message".to_owned()),
    }
}

impl Scripts {
    fn check(&self, job: &Job) -> Result<(), String> {
        let name = job
            .program
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        program::vetted(&self.folder, name).map_err(|error| error.to_string())?;
        let Environment::Only(variables) = &job.environment else {
            return Err("a program of a script has an environment of its own".to_owned());
        };
        let known = |(name, value): &(&str, String)| FOR_SCRIPTS.contains(name) && (*name != "PATH" || value == PATH);
        if !variables.iter().all(known) {
            return Err("the environment of a program is another".to_owned());
        }
        match job.folder.as_deref().is_some_and(|home| self.has_home(home)) {
            true => Ok(()),
            false => Err("a program of a script runs in a home below the roots".to_owned()),
        }
    }

    fn has_home(&self, home: &Path) -> bool {
        let really = |path: &Path| path.canonicalize().ok();
        let Some(home) = really(home) else { return false };
        self.roots
            .iter()
            .filter_map(|root| really(root))
            .any(|root| home.starts_with(root))
    }
}

fn fits(warning: &[String], job: &Job) -> bool {
    let Some((program, arguments)) = warning.split_first() else {
        return false;
    };
    let named = |(name, _): &(&str, String)| FOR_WARNINGS.contains(name);
    Path::new(program) == job.program
        && arguments.len() == job.arguments.len()
        && arguments
            .iter()
            .zip(&job.arguments)
            .all(|(pattern, argument)| matches(pattern, argument))
        && job.folder.is_none()
        && job.output.is_none()
        && matches!(&job.environment, Environment::With(variables) if variables.iter().all(named))
}

/// Whether an argument may have been made from a pattern with names in braces.
fn matches(pattern: &str, argument: &str) -> bool {
    let Some((before, behind)) = cut(pattern) else {
        return pattern == argument;
    };
    let Some(rest) = argument.strip_prefix(before) else {
        return false;
    };
    // Values are short, so are arguments.
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter()
        .any(|at| !rest[..at].contains(char::is_control) && matches(behind, &rest[at..]))
}

// What stands before and behind the first name in braces.
fn cut(pattern: &str) -> Option<(&str, &str)> {
    let names = ["{user}", "{percent}", "{used}", "{limit}"];
    let first = names
        .iter()
        .filter_map(|name| Some((pattern.find(name)?, name.len())))
        .min()?;
    Some((&pattern[..first.0], &pattern[first.0 + first.1..]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn rules(folder: &Path) -> Rules {
        Rules {
            sendmail: Some("/usr/sbin/sendmail".into()),
            scripts: Some(Scripts {
                folder: folder.join("programs"),
                roots: vec![folder.join("homes")],
            }),
            warnings: vec![vec![
                "/usr/bin/warn".to_owned(),
                "--to={user}".to_owned(),
                "{percent}%".to_owned(),
            ]],
            time: Duration::from_secs(60),
            output: 100,
            at_once: 4,
        }
    }

    fn job(program: &str, arguments: &[&str], environment: Environment) -> Job {
        Job {
            program: program.into(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment,
            folder: None,
            input: None,
            time: Duration::from_secs(10),
            output: None,
        }
    }

    fn inherited() -> Environment {
        Environment::With(Vec::new())
    }

    #[test]
    fn rules_survive_the_way_to_the_helper() {
        for rules in [rules(Path::new("/x")), Rules::default()] {
            assert_eq!(Rules::from_json(&rules.to_json()), Some(rules));
        }
        assert_eq!(Rules::from_json(&json!({"warnings": [1]})), None);
    }

    #[test]
    fn sendmail_gets_a_sender_and_recipients_and_no_other_option() {
        let rules = rules(Path::new("/x"));
        let program = "/usr/sbin/sendmail";
        let takes = |arguments: &[&str]| rules.check(&job(program, arguments, inherited())).is_ok();
        assert!(takes(&["-i", "-f", "<>", "--", "ann@example.org", "-C/etc/other"]));
        assert!(!takes(&["-i", "-f", "<>", "--"]), "nobody");
        assert!(!takes(&["-C", "/tmp/evil", "-i", "-f", "<>", "--", "ann@example.org"]));
        assert!(!takes(&["-i", "-f", "<>", "-bs", "ann@example.org"]));
        assert!(!takes(&[]));
        let right = ["-i", "-f", "<>", "--", "ann@example.org"];
        let loaded = Environment::With(vec![("LD_PRELOAD", "/tmp/evil.so".to_owned())]);
        assert!(rules.check(&job(program, &right, loaded)).is_err());
        assert!(
            rules
                .check(&job("/usr/sbin/sendmail.evil", &right, inherited()))
                .is_err()
        );
        assert!(rules.check(&job("/bin/sh", &["-c", "true"], inherited())).is_err());
        let mut long = job(program, &right, inherited());
        long.time = Duration::from_secs(61);
        assert!(rules.check(&long).is_err());
    }

    #[test]
    fn scripts_run_programs_of_the_folder_in_homes_of_the_roots() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["programs", "homes/ann", "elsewhere"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink("../elsewhere", folder.path().join("homes/link")).unwrap();
        for (name, mode) in [("good", 0o755), ("writable", 0o757)] {
            let path = folder.path().join("programs").join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let rules = rules(folder.path());
        let asked = |program: &str, home: &str, variable: (&'static str, &str)| {
            let variables = vec![("HOME", "/".to_owned()), (variable.0, variable.1.to_owned())];
            let program = format!("{}/programs/{program}", folder.path().display());
            let mut job = job(&program, &["any", "-thing"], Environment::Only(variables));
            job.folder = Some(folder.path().join(home));
            rules.check(&job)
        };
        let user = ("USER", "ann");
        assert_eq!(asked("good", "homes/ann", user), Ok(()));
        for (program, home, variable) in [
            ("writable", "homes/ann", user),
            ("missing", "homes/ann", user),
            ("../programs/good", "homes/ann", user),
            ("good", "elsewhere", user),
            ("good", "homes/link", user),
            ("good", "homes/../elsewhere", user),
            ("good", "homes/ann", ("LD_PRELOAD", "x")),
            ("good", "homes/ann", ("PATH", "/tmp")),
        ] {
            assert!(asked(program, home, variable).is_err(), "{program} {home} {variable:?}");
        }
    }

    #[test]
    fn warnings_are_those_that_were_configured() {
        let rules = rules(Path::new("/x"));
        let takes = |arguments: &[&str]| {
            let environment = Environment::With(vec![("USER", "ann".to_owned())]);
            rules.check(&job("/usr/bin/warn", arguments, environment)).is_ok()
        };
        assert!(takes(&["--to=ann@example.org", "80%"]));
        assert!(!takes(&["--to=ann@example.org", "80"]));
        assert!(!takes(&["ann@example.org", "80%"]));
        assert!(!takes(&["--to=ann", "80%", "more"]));
        assert!(!takes(&["--to=a\nnn", "80%"]));
        for (pattern, argument, fits) in [
            ("{user}:{used}/{limit}", "ann:1/2", true),
            ("{user}:{used}/{limit}", "ann:12", false),
            ("{other}", "{other}", true),
            ("{other}", "x", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, argument), fits, "{pattern} {argument}");
        }
    }
}
