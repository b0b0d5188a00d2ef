//! What server and helper say: over a socket that serves one job, the server writes the job and reads the answer.
//!
//! The standard input does not come this way: it is a file that is handed over with the request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};

use super::rules::strings;
use crate::ipc::{put, take};
use crate::submission::program::{End, Environment, Heard, Job};

/// How long a job may be, in bytes: more than the system takes as arguments.
const JOB_MAX: usize = 4 << 20;
/// The names of variables that programs get.
const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "HOST",
    "SENDER",
    "RECIPIENT",
    "ORIG_RECIPIENT",
    "PERCENT",
    "USED",
    "LIMIT",
];

/// The server's side: tells a job as [`write_job`] wrote it, waits for what came of it, and hears so much of its
/// output.
///
/// # Errors
/// Where the helper is lost on the way; what it says itself is inside.
pub(super) fn ask(
    stream: &mut (impl Read + Write),
    job: &Value,
    limit: Option<usize>,
) -> io::Result<io::Result<Heard>> {
    put(stream, job.to_string().as_bytes())?;
    let answer = take(stream, JOB_MAX)?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let output = take(stream, limit.unwrap_or(0))?;
    Ok(read_answer(&answer, output))
}

/// The helper's side: reads the job.
///
/// # Errors
/// Where it cannot be read, or is none.
pub(super) fn hear(stream: &mut impl Read, input: Option<File>) -> io::Result<Job> {
    let text = take(stream, JOB_MAX)?;
    let value: Value = serde_json::from_slice(&text)?;
    read_job(&value, input).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no job"))
}

/// The helper's side: answers what came of the job.
///
/// # Errors
/// Where the server is gone.
pub(super) fn answer(stream: &mut impl Write, ended: io::Result<Heard>) -> io::Result<()> {
    let (answer, output) = match ended {
        Ok(Heard::All(End::Exited(status, words), output)) => {
            (json!({"status": status.into_raw(), "words": words}), output)
        }
        Ok(Heard::All(End::Killed, output)) => (json!({"killed": true}), output),
        Ok(Heard::TooMuch) => (json!({"flood": true}), Vec::new()),
        Err(error) => match error.raw_os_error() {
            Some(number) => (json!({"errno": number}), Vec::new()),
            None => (json!({"refused": error.to_string()}), Vec::new()),
        },
    };
    put(stream, answer.to_string().as_bytes())?;
    put(stream, &output)
}

/// A job in words.
///
/// # Errors
/// Where a path is not UTF-8.
pub(super) fn write_job(job: &Job) -> io::Result<Value> {
    let (inherits, variables) = match &job.environment {
        Environment::With(variables) => (true, variables),
        Environment::Only(variables) => (false, variables),
    };
    let text = |path: &PathBuf| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path that is not UTF-8")),
    };
    Ok(json!({
        "program": text(&job.program)?,
        "arguments": job.arguments,
        "inherits": inherits,
        "variables": variables,
        "folder": job.folder.as_ref().map(text).transpose()?,
        "milliseconds": u64::try_from(job.time.as_millis()).unwrap_or(u64::MAX),
        "output": job.output,
    }))
}

fn read_job(value: &Value, input: Option<File>) -> Option<Job> {
    let variables = value["variables"].as_array()?.iter().map(variable);
    let variables = variables.collect::<Option<Vec<_>>>()?;
    let output = match &value["output"] {
        Value::Null => None,
        output => Some(usize::try_from(output.as_u64()?).ok()?),
    };
    Some(Job {
        program: value["program"].as_str()?.into(),
        arguments: strings(&value["arguments"])?,
        environment: match value["inherits"].as_bool()? {
            true => Environment::With(variables),
            false => Environment::Only(variables),
        },
        folder: value["folder"].as_str().map(PathBuf::from),
        input,
        time: Duration::from_millis(value["milliseconds"].as_u64()?),
        output,
    })
}

// A name that no program gets is no job.
fn variable(value: &Value) -> Option<(&'static str, String)> {
    let [name, value] = value.as_array()?.as_slice() else {
        return None;
    };
    let name = VARIABLES.iter().find(|known| Some(**known) == name.as_str())?;
    Some((name, value.as_str()?.to_owned()))
}

fn read_answer(answer: &Value, output: Vec<u8>) -> io::Result<Heard> {
    if let Some(number) = answer["errno"].as_i64().and_then(|number| i32::try_from(number).ok()) {
        return Err(io::Error::from_raw_os_error(number));
    }
    if let Some(why) = answer["refused"].as_str() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()));
    }
    if answer["flood"] == true {
        return Ok(Heard::TooMuch);
    }
    let status = answer["status"].as_i64().and_then(|status| i32::try_from(status).ok());
    let end = match status {
        Some(status) => {
            let words = answer["words"].as_str().unwrap_or_default().to_owned();
            End::Exited(ExitStatus::from_raw(status), words)
        }
        None => End::Killed,
    };
    Ok(Heard::All(end, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(environment: Environment, output: Option<usize>) -> Job {
        Job {
            program: "/a/program".into(),
            arguments: vec!["\0".to_owned(), "ä \"".to_owned()],
            environment,
            folder: output.map(|_| "/home".into()),
            input: None,
            time: Duration::from_millis(1500),
            output,
        }
    }

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        let variables = || vec![("USER", "ann".to_owned())];
        for (environment, output) in [
            (Environment::With(Vec::new()), None),
            (Environment::With(variables()), Some(0)),
            (Environment::Only(variables()), Some(1 << 20)),
        ] {
            let sent = job(environment, output);
            let mut bytes = Vec::new();
            put(&mut bytes, write_job(&sent).unwrap().to_string().as_bytes()).unwrap();
            let heard = hear(&mut bytes.as_slice(), None).unwrap();
            assert_eq!(format!("{heard:?}"), format!("{sent:?}"));
        }
    }

    #[test]
    fn what_is_no_job_is_refused() {
        let good = write_job(&job(Environment::Only(Vec::new()), None)).unwrap();
        let change = |key: &str, value: Value| {
            let mut changed = good.clone();
            changed[key] = value;
            changed.to_string().into_bytes()
        };
        for text in [
            b"".to_vec(),
            b"{}".to_vec(),
            b"[".to_vec(),
            change("variables", json!([["LD_PRELOAD", "x"]])),
            change("variables", json!([["USER"]])),
            change("arguments", json!([1])),
            change("output", json!(-1)),
            change("milliseconds", json!("1")),
        ] {
            let mut bytes = Vec::new();
            put(&mut bytes, &text).unwrap();
            assert!(
                hear(&mut bytes.as_slice(), None).is_err(),
                "{}",
                String::from_utf8_lossy(&text)
            );
        }
    }

    #[test]
    fn answers_arrive_as_they_were_given() {
        let answers: [fn() -> io::Result<Heard>; 5] = [
            || {
                Ok(Heard::All(
                    End::Exited(ExitStatus::from_raw(75 << 8), "words".to_owned()),
                    b"out".to_vec(),
                ))
            },
            || Ok(Heard::All(End::Killed, b"part".to_vec())),
            || Ok(Heard::TooMuch),
            || Err(io::Error::from_raw_os_error(libc::ENOENT)),
            || Err(io::Error::new(io::ErrorKind::PermissionDenied, "not that one")),
        ];
        for given in answers {
            let mut bytes = Vec::new();
            answer(&mut bytes, given()).unwrap();
            let mut bytes = bytes.as_slice();
            let text: Value = serde_json::from_slice(&take(&mut bytes, JOB_MAX).unwrap()).unwrap();
            let output = take(&mut bytes, 100).unwrap();
            let (heard, given) = (read_answer(&text, output), given());
            assert_eq!(
                format!("{:?}", heard.map_err(|it| it.to_string())),
                format!("{:?}", given.map_err(|it| it.to_string()))
            );
        }
    }
}
