//! Compiling and running scripts, beside sieve-rs in the same run: `cargo bench --bench sieve --features sieve-rs`.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use postroom::mail::{Address, MailboxName, ReversePath};
use postroom::message::Message;
use postroom::sieve::{
    Account, Engine, EngineKind, Incoming, Location, Options, Script, ScriptName, Scripts, Transport,
};

/// An account with INBOX alone.
struct Nothing;

impl Account for Nothing {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        mailbox.is_inbox()
    }

    fn seen(&self, _: &str) -> bool {
        false
    }

    fn include(&self, _: Location, _: &ScriptName) -> io::Result<Option<Script>> {
        Ok(None)
    }
}

fn main() {
    // Given by `cargo test --benches`, which only wants to see that it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let message = message();
    let long = "keep;\n".len();
    let scripts = [
        ("10 rules", rules(10, false)),
        ("100 rules", rules(100, false)),
        ("1,000 rules", rules(1000, false)),
        ("200 rules of regular expressions", rules(200, true)),
    ];
    println!("{:<36} {:>12} {:>12} {:>8}", "", "postroom", "sieve-rs", "ratio");
    for (name, source) in &scripts {
        assert!(source.len() > long);
        compare(&format!("compile {name}"), quick, |kind| compile(kind, source));
    }
    for (name, source) in &scripts {
        compare(&format!("run {name}"), quick, |kind| run(kind, source, &message));
    }
}

// The same thing by both engines, in turns, so that what else the machine does hits both.
fn compare(name: &str, quick: bool, prepare: impl Fn(EngineKind) -> Box<dyn FnMut()>) {
    let mut kinds = vec![EngineKind::Postroom];
    if cfg!(feature = "sieve-rs") {
        kinds.push(EngineKind::SieveRs);
    }
    let mut tasks: Vec<_> = kinds.into_iter().map(&prepare).collect();
    let rounds = if quick { 1 } else { 9 };
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); tasks.len()];
    for _ in 0..rounds {
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            times.push(measure(task, quick));
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    match medians.as_slice() {
        [own, other] => println!("{name:<36} {own:>9.2} us {other:>9.2} us {:>8.2}", other / own),
        [own] => println!("{name:<36} {own:>9.2} us {:>12}", "-"),
        _ => {}
    }
}

/// Microseconds for one call.
fn measure(task: &mut dyn FnMut(), quick: bool) -> f64 {
    let least = Duration::from_millis(if quick { 1 } else { 40 });
    let begin = Instant::now();
    let mut calls = 0u32;
    while begin.elapsed() < least {
        task();
        calls += 1;
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn engine(kind: EngineKind) -> Engine {
    Engine::new(Options {
        engine: kind,
        max_instructions: 10_000_000,
        cached_scripts: 1,
        user_time: Duration::from_secs(1_000_000),
        ..Options::default()
    })
}

// A cache of one script and two of them, so that each is compiled.
fn compile(kind: EngineKind, source: &str) -> Box<dyn FnMut()> {
    let engine = engine(kind);
    let scripts = [format!("{source}\n#a"), format!("{source}\n#b")];
    let scripts = scripts.map(|source| Script::new("bench", source.into_bytes()));
    let mut turn = 0;
    Box::new(move || {
        turn = 1 - turn;
        assert!(black_box(engine.check(&scripts[turn])).errors.is_empty());
    })
}

fn run(kind: EngineKind, source: &str, message: &Message) -> Box<dyn FnMut()> {
    let engine = engine(kind);
    let scripts = Scripts {
        user: Some(Script::new("bench", source.as_bytes())),
        ..Scripts::default()
    };
    let message = message.clone();
    let own = Address::parse("me@example.org").expect("an address");
    let reverse_path = ReversePath::Address(Address::parse("sender@example.com").expect("an address"));
    Box::new(move || {
        let incoming = Incoming {
            message: &message,
            reverse_path: &reverse_path,
            recipient: &own,
            original: None,
            detail: None,
            own_addresses: std::slice::from_ref(&own),
            separator: '.',
            hostname: "mx.example.org",
            user: "me@example.org",
            transport: Transport::default(),
        };
        let evaluation = engine.run(&scripts, &incoming, &Nothing);
        assert_eq!(evaluation.error, None);
        black_box(evaluation);
    })
}

/// Rules such as people have; none of them matches, so all are asked.
fn rules(count: usize, regex: bool) -> String {
    let mut source = String::from("require [\"fileinto\", \"envelope\", \"regex\", \"imap4flags\"];\n");
    for number in 0..count {
        source.push_str(&match number % 5 {
            _ if regex => format!(
                "if header :regex [\"subject\", \"from\"] \"^\\\\[(list|group)-{number}\\\\].*(re|fwd?): .*[[:digit:]]+$\" {{ fileinto \"R{number}\"; stop; }}\n"
            ),
            0 => format!("if header :contains \"subject\" \"[list-{number}]\" {{ fileinto \"Lists.{number}\"; stop; }}\n"),
            1 => format!("if address :is :domain \"from\" \"d{number}.example.com\" {{ fileinto \"D{number}\"; stop; }}\n"),
            2 => format!("if header :matches \"list-id\" \"*<l{number}.example.org>*\" {{ fileinto \"L{number}\"; stop; }}\n"),
            3 => format!(
                "if anyof (header :is \"x-spam-flag\" \"YES{number}\", size :over {}K) {{ addflag \"$Junk\"; }}\n",
                1000 + number
            ),
            _ => format!("if envelope :is \"from\" \"bounce{number}@example.com\" {{ discard; }}\n"),
        });
    }
    source
}

/// 4 KiB, with the fields that mail has.
fn message() -> Message {
    let mut text = String::from("Return-Path: <sender@example.com>\r\n");
    for hop in 0..4 {
        text.push_str(&format!(
            "Received: from mx{hop}.example.com (mx{hop}.example.com [192.0.2.{hop}])\r\n\tby mx.example.org (Postfix) with ESMTPS id 4bXyz{hop}\r\n\tfor <me@example.org>; Mon, 01 Jun 2026 12:00:0{hop} +0000 (UTC)\r\n"
        ));
    }
    text.push_str(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=2026;\r\n\th=from:to:subject; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\r\n\
         From: =?utf-8?q?Se=C3=B1der?= <sender@example.com>\r\nTo: Me <me@example.org>, Other <other@example.net>\r\n\
         Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_dem_Urlaub?=\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n\
         Message-ID: <1@example.com>\r\nList-Id: Talk <talk.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
    );
    while text.len() < 4096 {
        text.push_str("The quick brown fox jumps over the lazy dog, and nobody filters on that.\r\n");
    }
    Message::from_bytes(text)
}
