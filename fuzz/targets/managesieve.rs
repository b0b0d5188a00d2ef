//! Any bytes as a client of ManageSieve: nothing panics, everything shown is taken, and the answers are the same
//! however the bytes are cut. The first byte says where they are.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use postroom::managesieve::{Answer, Options, Protection, Request, Session, Step};

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = answers(bytes, bytes.len().max(1));
    assert_eq!(answers(bytes, usize::from(*size).max(1)), whole);
    assert!(whole.is_empty() || whole.ends_with(b"\r\n"));
});

/// What is said to a client who is shown to the session in pieces of that size. Every login succeeds.
fn answers(bytes: &[u8], size: usize) -> Vec<u8> {
    let options = Options {
        script_size: 500,
        ..Options::default()
    };
    let protection = Protection {
        has_certificate: false,
        tls: false,
        plaintext: true,
    };
    let mut session = Session::new(Arc::new(options), protection);
    let (mut said, mut buffer) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, step) = session.next(&buffer);
            buffer.drain(..consumed);
            match step {
                Step::NeedMore => break,
                Step::Reply(reply) => said.extend_from_slice(reply.bytes()),
                Step::StartTls => unreachable!("it was not offered"),
                Step::Authenticate(credentials) if credentials.password == "later" => session.login_deferred(),
                Step::Authenticate(credentials) if credentials.user == "eve" => session.login_refused(),
                Step::Authenticate(credentials) => session.logged_in(&credentials.user),
                Step::Request(Request::GetScript(name)) => {
                    session.answer(&Answer::Script(name.as_str().as_bytes().to_vec()));
                }
                Step::Request(Request::PutScript { source, .. }) => {
                    assert!(source.len() <= 500 + 2048 && std::str::from_utf8(&source).is_ok());
                    session.answer(&Answer::Done);
                }
                Step::Request(_) => session.answer(&Answer::Done),
                Step::Close(reply) => {
                    said.extend_from_slice(reply.bytes());
                    return said;
                }
            }
        }
        assert!(buffer.is_empty());
    }
    said
}
