//! A script and a message, parted by a line of equals signs: running ends in a plan that loses nothing.

#![no_main]

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postroom::mail::{Address, MailboxName, ReversePath};
use postroom::message::Message;
use postroom::sieve::{
    Account, Action, Engine, Incoming, Location, Options, Programs, Script, ScriptName, Scripts, Transport,
};

/// An account that has what is asked for, now and then.
struct Odd;

impl Account for Odd {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        mailbox.as_str().len() % 2 == 0
    }

    fn seen(&self, id: &str) -> bool {
        id.len() % 2 == 0
    }

    fn include(&self, _: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        Ok(match name.as_str().len() % 3 {
            0 => None,
            1 => Some(Script::new("included", *b"require \"include\"; include \"b\"; keep;")),
            _ => Some(Script::new("other", *b"require \"variables\"; set \"a\" \"${1}x\"; return;")),
        })
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(Options {
        cached_scripts: 1,
        user_time: Duration::from_secs(1_000_000),
        programs: Programs {
            pipe: true,
            filter: true,
            execute: true,
        },
        ..Options::default()
    })
});

const PARTING: &[u8] = b"\n====\n";

fuzz_target!(|data: &[u8]| {
    let at = data.windows(PARTING.len()).position(|window| window == PARTING);
    let (script, mail) = at.map_or((data, &b""[..]), |at| (&data[..at], &data[at + PARTING.len()..]));
    let message = Message::from_bytes(mail);
    let me = Address::parse("me+detail@example.org").expect("an address");
    let sender = ReversePath::Address(Address::parse("sender@example.com").expect("an address"));
    let incoming = Incoming {
        message: &message,
        reverse_path: &sender,
        recipient: &me,
        original: None,
        detail: Some("detail"),
        own_addresses: std::slice::from_ref(&me),
        separator: '.',
        hostname: "mx.example.org",
        user: "me",
        transport: Transport::default(),
    };
    let scripts = Scripts {
        user: Some(Script::new("fuzzed", script)),
        ..Scripts::default()
    };
    let evaluation = ENGINE.trace(&scripts, &incoming, &Odd);
    // A failed script keeps the message, and does nothing else.
    if evaluation.error.is_some() {
        let actions = &evaluation.plan.actions;
        assert!(actions.len() == 1 && matches!(actions[0].action, Action::Keep { .. }), "{evaluation:?}");
    }
    assert!(!evaluation.plan.actions.is_empty());
    for planned in &evaluation.plan.actions {
        if let Some(edition) = &planned.edition {
            assert!(edition.size() < 64 << 20);
        }
    }
});
