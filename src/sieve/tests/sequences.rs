//! Several scripts for one message.

use super::*;

fn sequence(before: &[&str], user: Option<&str>, after: &[&str]) -> Evaluation {
    let script = |name: &str, source: &str| Script::new(name, source.as_bytes());
    let scripts = Scripts {
        before: before.iter().map(|source| script("before", source)).collect(),
        user: user.map(|source| script("user", source)),
        default: Some(script("default", "require \"fileinto\"; fileinto \"Default\";")),
        after: after.iter().map(|source| script("after", source)).collect(),
    };
    evaluate_with(&scripts, MAIL.as_bytes(), "sender@example.com", Options::default())
}

#[test]
fn the_next_runs_while_the_message_is_kept() {
    let file = "require \"fileinto\"; fileinto \"A\";";
    let copy = "require [\"fileinto\",\"copy\"]; fileinto :copy \"B\";";
    let seen = "require \"imap4flags\"; setflag \"\\\\Seen\";";
    let flagged = "require \"imap4flags\"; keep :flags \"\\\\Flagged\";";
    let keep_and_inbox = "require \"fileinto\"; keep; fileinto \"INBOX\";";
    let file_and_keep = "require \"fileinto\"; fileinto \"A\"; keep;";
    // As Pigeonhole's sieve-test answers for each of these sequences (-s), less the flags of a keep that is renewed.
    for (before, user, after, expected) in [
        (&[][..], Some("keep;"), &[][..], "keep"),
        (&[], None, &[], "fileinto Default"),
        (&["discard;"], Some(file), &[file], "discard"),
        (&[file], Some("keep;"), &[], "fileinto A"),
        (&["keep;"], Some(file), &[], "fileinto A"),
        (&["keep;"], Some("discard;"), &[], "discard"),
        (&[copy], Some(file), &[], "fileinto B copy; fileinto A"),
        (&[copy], Some("keep;"), &["discard;"], "fileinto B copy"),
        (&[], Some("stop;"), &[file], "fileinto A"),
        (&[seen], Some(""), &[], "keep [\\Seen]"),
        (&[seen], Some(file), &[], "fileinto A [\\Seen]"),
        (&[flagged], Some(seen), &[], "keep [\\Flagged \\Seen]"),
        (&[flagged], Some(file), &[], "fileinto A"),
        (&[file_and_keep], Some("discard;"), &[], "fileinto A"),
        (&[file_and_keep], Some(""), &[], "fileinto A; keep"),
        (&[keep_and_inbox], Some("discard;"), &[], "fileinto INBOX"),
        (&[keep_and_inbox], Some(file), &[], "fileinto INBOX; fileinto A"),
        (
            &["redirect \"a@example.net\";"],
            Some(file),
            &[],
            "redirect a@example.net",
        ),
    ] {
        assert_eq!(
            words(&sequence(before, user, after)),
            expected,
            "{before:?} {user:?} {after:?}"
        );
    }
}

#[test]
fn what_ended_well_stands() {
    let copy = "require [\"fileinto\",\"copy\"]; fileinto :copy \"B\";";
    let evaluation = sequence(
        &[copy],
        Some("redirect \"a@example.net\"; redirect \"none\";"),
        &["discard;"],
    );
    assert_eq!(evaluation.error.as_ref().unwrap().script, "user");
    assert!(words(&evaluation).starts_with("fileinto B copy; keep; error"));
    let evaluation = sequence(&["broken"], Some("discard;"), &[]);
    assert_eq!(evaluation.error.as_ref().unwrap().script, "before");
    assert_eq!(evaluation.plan, Plan::keep());
}

#[test]
fn limits_count_over_all_scripts() {
    let redirects = |from: usize, to: usize| -> String {
        (from..to)
            .map(|n| format!("redirect :copy \"a{n}@example.net\";"))
            .collect()
    };
    let first = format!("require \"copy\"; {}", redirects(0, 3));
    let second = format!("require \"copy\"; {}", redirects(3, 5));
    let evaluation = sequence(&[&first], Some(&second), &[]);
    assert_eq!(evaluation.plan.actions.len(), 4);
    assert!(evaluation.error.unwrap().message.contains("more than 4"));
    let again = sequence(&[&first], Some(&format!("require \"copy\"; {}", redirects(2, 4))), &[]);
    assert_eq!((again.plan.actions.len(), again.error), (5, None));
}

#[test]
fn a_site_copy_and_a_users_reject_do_not_go_together() {
    let copy = "require [\"fileinto\",\"copy\"]; fileinto :copy \"B\";";
    let evaluation = sequence(&[copy], Some("require \"reject\"; reject \"No.\";"), &[]);
    assert_eq!(
        words(&evaluation),
        "fileinto B copy; keep; error: reject does not go together with fileinto"
    );
}

#[test]
fn a_broken_script_is_broken_for_each_message() {
    let engine = Engine::new(Options::default());
    let script = Script::new("user", *b"kep;");
    assert_eq!(engine.check(&script), engine.check(&script));
    assert_eq!(engine.check(&script).errors.len(), 1);
    assert_eq!(engine.check(&Script::new("user", *b"keep;")), Checked::default());
}
