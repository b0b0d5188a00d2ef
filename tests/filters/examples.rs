//! Every example of `filters/examples`, with messages that it is for and some that it is not.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::shipped;
use crate::support::place::Place;

/// Examples of extensions that the engine does not have yet.
const AHEAD: &[&str] = &[];

/// A message and what becomes of it.
struct Row {
    script: &'static str,
    from: &'static str,
    to: &'static str,
    message: String,
    actions: Value,
}

fn row(script: &'static str, message: impl Into<String>, actions: Value) -> Row {
    Row {
        script,
        from: "sender@example.com",
        to: "ann@example.org",
        message: message.into(),
        actions,
    }
}

impl Row {
    fn to(self, to: &'static str) -> Row {
        Row { to, ..self }
    }
}

fn keep() -> Value {
    json!([{"action": "keep", "flags": []}])
}

fn filed(mailbox: &str) -> Value {
    flagged(mailbox, &[])
}

fn flagged(mailbox: &str, flags: &[&str]) -> Value {
    json!([{"action": "fileinto", "mailbox": mailbox, "flags": flags, "copy": false, "create": true}])
}

fn discarded() -> Value {
    json!([{"action": "discard"}])
}

fn subject(subject: &str) -> String {
    format!("From: a@example.net\nTo: ann@example.org\nSubject: {subject}\n\nbody\n")
}

fn field(field: &str) -> String {
    format!("From: a@example.net\nTo: ann@example.org\n{field}\nSubject: hello\n\nbody\n")
}

#[test]
fn examples_do_what_they_say() {
    let place = Place::new();
    let all = [lists(), addresses(), contents(), others()];
    for row in all.into_iter().flatten().filter(|row| !AHEAD.contains(&row.script)) {
        check(&place, &shipped(&format!("examples/{}.sieve", row.script)), &row);
    }
}

fn check(place: &Place, script: &Path, row: &Row) {
    let message = place.file("message", &row.message);
    let out = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["sieve", "test", "--json", "--from", row.from, "--to", row.to])
        .args([script, &message])
        .output()
        .expect("postroom");
    // Lines in text end as they do in the script or as they do in mail.
    let printed = String::from_utf8(out.stdout).expect("UTF-8").replace("\\r\\n", "\\n");
    let answer: Value = serde_json::from_str(&printed).expect("JSON");
    let told = || format!("{} with\n{}\n{answer}", row.script, row.message);
    assert_eq!(answer["error"], Value::Null, "{}", told());
    assert_eq!(answer["actions"], row.actions, "{}", told());
    assert!(out.status.success(), "{}", told());
}

fn lists() -> Vec<Row> {
    vec![
        row(
            "lists",
            field("List-Id: Users of it <Users.lists.example.net>"),
            filed("Lists.users"),
        ),
        row("lists", field("List-Id: <dev.example.org>"), filed("Lists.dev")),
        row(
            "lists",
            field("List-Id: =?utf-8?q?F=C3=BCr_alle?= <alle.example.org>"),
            filed("Lists.alle"),
        ),
        row(
            "lists",
            field("X-Mailing-List: <Kernel@vger.example.org> archive/1"),
            filed("Lists.kernel"),
        ),
        row("lists", subject("List-Id: <users.example.org>"), keep()),
        row("subject-tag", tagged("Re: [users] hello"), filed("Lists.users")),
        row("subject-tag", tagged("hello"), keep()),
        row("subject-tag", subject("[users] hello"), keep()),
        row("duplicates", subject("hello"), keep()),
        row("duplicates", subject("DOWN: web1"), keep()),
    ]
}

fn tagged(subject: &str) -> String {
    format!("From: a@example.net\nList-Id: <users.lists.example.net>\nSubject: {subject}\n\nbody\n")
}

fn addresses() -> Vec<Row> {
    let hello = || subject("hello");
    vec![
        row("plus-address", hello(), filed("Plus.shop")).to("ann+Shop@example.org"),
        row("plus-address", hello(), filed("Plus.a+b")).to("ann+a+b@example.org"),
        row("plus-address", hello(), discarded()).to("ann+raffle@example.org"),
        row("plus-address", hello(), keep()).to("ann+a.b@example.org"),
        row("plus-address", hello(), keep()),
        row("roles", hello(), flagged("Roles", &["\\Flagged"])).to("abuse@example.org"),
        row("roles", hello(), filed("Shop")).to("ann@example.net"),
        row("roles", hello(), keep()),
        row(
            "forward",
            "To: Billing <billing@example.org>\nSubject: an invoice\n\nbody\n",
            json!([
                {"action": "redirect", "address": "colleague@example.net", "copy": true},
                {"action": "keep", "flags": []},
            ]),
        ),
        row(
            "forward",
            subject("[Rowing Club] Sunday"),
            json!([{"action": "redirect", "address": "club@example.net", "copy": false}]),
        ),
        row("forward", hello(), keep()),
        row(
            "notify",
            "From: The Boss <boss@example.org>\nSubject: where are you?\n\nbody\n",
            note("The Boss <boss@example.org> writes: where are you?"),
        ),
        row(
            "notify",
            "From: a@example.net\nSubject: URGENT\n\nbody\n",
            note("a@example.net writes: URGENT"),
        ),
        row(
            "notify",
            "From: school@example.net\n\nbody\n",
            note("school@example.net writes: nothing"),
        ),
        row("notify", hello(), keep()),
        row(
            "notify",
            field("Auto-Submitted: auto-notified\nSubject: urgent"),
            keep(),
        ),
    ]
}

fn note(text: &str) -> Value {
    let address = "4917012345@sms.example.net";
    json!([
        {"action": "notify", "method": format!("mailto:{address}"), "addresses": [address], "message": text, "importance": 1},
        {"action": "keep", "flags": []},
    ])
}

fn contents() -> Vec<Row> {
    vec![
        row(
            "attachments",
            attached("application/octet-stream", "game.EXE", "a game"),
            filed("Quarantine"),
        ),
        row(
            "attachments",
            attached("application/pdf", "2026.pdf", "your Invoice"),
            filed("Invoices"),
        ),
        row("attachments", attached("application/pdf", "2026.pdf", "a poem"), keep()),
        row(
            "attachments",
            attached("text/calendar", "meeting.ics", "a meeting"),
            json!([{"action": "keep", "flags": ["$Calendar"]}]),
        ),
        row("attachments", subject("invoice"), keep()),
        row(
            "big-mail",
            large("a@example.net", 21),
            flagged("Large", &["\\Flagged", "$Large"]),
        ),
        row("big-mail", large("a@example.net", 3), filed("Large")),
        row("big-mail", large("bob@example.org", 3), keep()),
        row("big-mail", large("a@example.net", 1), keep()),
        row("spam", field("X-Spam-Level: ******"), filed("Junk")),
        row("spam", field("X-Spam-Level: ****"), keep()),
        row("spam", field("X-Spam-Score: 99"), keep()),
    ]
}

fn attached(kind: &str, name: &str, subject: &str) -> String {
    format!(
        "From: a@example.net\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=cut\n\n\
         --cut\nContent-Type: text/plain\n\nSee there.\n--cut\nContent-Type: {kind}; name={name}\n\
         Content-Disposition: attachment; filename={name}\n\nsome bytes\n--cut--\n"
    )
}

fn large(from: &str, megabytes: usize) -> String {
    let line = format!("{}\n", "x".repeat(63));
    format!("From: {from}\nSubject: a film\n\n{}", line.repeat(megabytes << 14))
}

fn reported() -> Value {
    json!([
        {"action": "report", "address": "spam-reports@example.net", "feedback_type": "abuse",
         "message": "It came to an address that is a trap.", "headers_only": false},
        filed("Junk")[0],
    ])
}

fn others() -> Vec<Row> {
    vec![
        row(
            "regex",
            subject("Re: [ACME-1234] printer on fire"),
            filed("Tickets.ACME"),
        ),
        row(
            "regex",
            subject("[ACME-12000]"),
            flagged("Tickets.ACME", &["\\Flagged"]),
        ),
        row("regex", subject("[acme-12] [A-1] ACME-12"), keep()),
        row("flags", subject("backup: no errors"), flagged("Archive", &["\\Seen"])),
        row(
            "flags",
            "From: bob@example.org\nX-Priority: 1\nSubject: hello\n\nbody\n",
            json!([{"action": "keep", "flags": ["\\Flagged", "$Work"]}]),
        ),
        row("flags", subject("hello"), keep()),
        row("report", subject("hello"), reported()).to("ann.1999@example.org"),
        row("report", subject("hello"), keep()),
        // Its days are over, or to come.
        row("vacation", subject("hello"), keep()),
    ]
}

/// The answer while one is away: the example with days around today.
#[test]
fn vacation_answers_between_its_days() {
    let place = Place::new();
    let text = std::fs::read_to_string(shipped("examples/vacation.sieve")).expect("the example");
    for (first, last, away) in [
        ("2000-01-01", "2999-12-31", true),
        ("2000-01-01", "2000-01-02", false),
        ("2999-12-30", "2999-12-31", false),
    ] {
        let script = place.file(
            "vacation.sieve",
            text.replace("2026-07-20", first).replace("2026-08-07", last),
        );
        let message = "I am away until 7 August and read my mail after that.\n\nIn urgent cases write to \
            office@example.org.\n";
        let reply = json!({
            "action": "vacation", "address": "sender@example.com", "subject": "Away until 7 August",
            "message": message, "mime": false, "from": null, "days": 7,
        });
        let kept = json!({"action": "keep", "flags": []});
        let actions = if away { json!([reply, kept]) } else { json!([kept]) };
        check(&place, &script, &row("vacation", subject("hello"), actions.clone()));
        check(
            &place,
            &script,
            &row(
                "vacation",
                "From: a@example.net\nTo: Ann.Lee@example.org\n\nbody\n",
                actions,
            ),
        );
        // To a list.
        check(
            &place,
            &script,
            &row("vacation", field("List-Id: <x.example.org>"), keep()),
        );
    }
}

/// Every example has rows above, or is told here why not.
#[test]
fn every_example_is_tried() {
    let rows = [lists(), addresses(), contents(), others()];
    let tried: Vec<&str> = rows.iter().flatten().map(|row| row.script).collect();
    let folder = std::fs::read_dir(shipped("examples")).expect("the examples");
    for entry in folder {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let name = name.strip_suffix(".sieve").expect("a script");
        // A beginner's script of several rules; `every_shipped_script_runs` runs it.
        assert!(name == "user" || tried.contains(&name), "{name} is not tried");
    }
}
