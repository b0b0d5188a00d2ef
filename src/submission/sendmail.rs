//! A sendmail program: argv, standard input, exit code. Never a shell.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::program::{End, Environment, Heard, Job, Runner};
use crate::mail::{Address, ReversePath};
use crate::submission::{Content, Receipt, SubmitError};

/// Has `program` run once for all recipients and waits for its end, at most for `time`.
///
/// The input comes from an unlinked file, not a pipe: a program that does not read it blocks
/// nothing here.
pub(super) fn run(
    runner: &dyn Runner,
    program: &Path,
    time: Duration,
    reverse_path: &ReversePath,
    recipients: &[Address],
    content: &Content,
) -> Result<Receipt, SubmitError> {
    let job = Job {
        program: program.to_owned(),
        arguments: arguments(reverse_path, recipients),
        environment: Environment::With(Vec::new()),
        folder: None,
        input: Some(content_file(content)?),
        time,
        output: None,
    };
    let ended = runner.run(job).map_err(|source| SubmitError::Program {
        program: program.to_owned(),
        source,
    })?;
    match ended {
        Heard::All(End::Exited(status, _), _) if status.success() => Ok(Receipt::default()),
        Heard::All(End::Exited(status, output), _) => Err(SubmitError::ProgramFailed {
            program: program.to_owned(),
            status,
            output,
            permanent: is_permanent(status),
        }),
        Heard::All(End::Killed, _) | Heard::TooMuch => Err(SubmitError::ProgramTimeout {
            program: program.to_owned(),
        }),
    }
}

// -i: a line with a single dot does not end the message. `--` ends the options, so an address
// that begins with a hyphen stays an address.
fn arguments(reverse_path: &ReversePath, recipients: &[Address]) -> Vec<String> {
    let sender = match reverse_path {
        ReversePath::Null => "<>".to_owned(),
        ReversePath::Address(address) => address.to_string(),
    };
    let mut arguments = vec!["-i".to_owned(), "-f".to_owned(), sender, "--".to_owned()];
    arguments.extend(recipients.iter().map(Address::to_string));
    arguments
}

fn content_file(content: &Content) -> Result<File, SubmitError> {
    let trouble = |source| SubmitError::Content { source };
    let mut file = tempfile::tempfile().map_err(trouble)?;
    io::copy(&mut content.lines("\n"), &mut file).map_err(trouble)?;
    file.rewind().map_err(trouble)?;
    Ok(file)
}

// sysexits(3): 65 EX_DATAERR, 67 EX_NOUSER, 68 EX_NOHOST, 69 EX_UNAVAILABLE. All else, a wrong
// option (64) and a signal included, may be mended by the postmaster.
fn is_permanent(status: ExitStatus) -> bool {
    matches!(status.code(), Some(65 | 67 | 68 | 69))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::submission::Kind;
    use crate::submission::program::Direct;

    /// A program in a folder of its own, with `body` after the first line.
    fn program(body: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sendmail");
        let script = format!("#!/bin/sh\ncd '{}'\n{body}\n", folder.path().display());
        // Written by another process: a thread that forks meanwhile must not inherit the open
        // file, or running it fails as busy.
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    fn send(program: &Path, sender: &ReversePath, to: &str, time: Duration) -> Result<Receipt, SubmitError> {
        let content = Content::new(b"A: b\r\n\r\nx\r\n.\r\ny".to_vec());
        let to = [Address::parse(to).unwrap()];
        run(&Direct, program, time, sender, &to, &content)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn arguments_and_content_arrive() {
        let (folder, path) = program("for a; do echo \"$a\"; done >args; cat >content");
        let ann = ReversePath::Address(Address::parse("-ann@example.org").unwrap());
        for (sender, name) in [(ReversePath::Null, "<>"), (ann, "-ann@example.org")] {
            let to = "\"$(touch x); -bs\"@example.org";
            send(&path, &sender, to, MINUTE).unwrap();
            let arguments = fs::read_to_string(folder.path().join("args")).unwrap();
            assert_eq!(arguments, format!("-i\n-f\n{name}\n--\n{to}\n"));
            let content = fs::read_to_string(folder.path().join("content")).unwrap();
            assert_eq!(content, "A: b\n\nx\n.\ny\n");
            assert!(!folder.path().join("x").exists());
        }
    }

    #[test]
    fn exit_codes_are_told_apart() {
        for (body, kind) in [
            ("exit 75", Kind::Temporary),
            ("exit 1", Kind::Temporary),
            ("exit 64", Kind::Temporary),
            ("kill -9 $$", Kind::Temporary),
            ("exit 65", Kind::Permanent),
            ("exit 67", Kind::Permanent),
            ("exit 68", Kind::Permanent),
            (
                "cat >/dev/null; printf 'no\\nsuch user\\n' >&2; exit 69",
                Kind::Permanent,
            ),
        ] {
            let (_folder, path) = program(body);
            let error = send(&path, &ReversePath::Null, "ann@example.org", MINUTE).unwrap_err();
            assert_eq!(error.kind(), kind, "{body}: {error}");
            assert!(
                !body.contains("such") || error.to_string().contains(": no such user"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_program_is_temporary() {
        let error = send(Path::new("/nonexistent/sendmail"), &ReversePath::Null, "a@b", MINUTE).unwrap_err();
        assert!(matches!(error, SubmitError::Program { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Temporary);
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let (_folder, path) = program("sleep 600 & sleep 600");
        let error = send(&path, &ReversePath::Null, "a@b", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, SubmitError::ProgramTimeout { .. }), "{error}");
    }
}
