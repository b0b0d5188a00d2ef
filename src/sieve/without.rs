//! In place of an evaluator where the crate was built without one.

use std::convert::Infallible;
use std::sync::Arc;

use super::error::Fault;
use super::step::Ran;
use super::{Account, Incoming, Options, Script, ScriptError, Trace};

/// Compiles nothing.
#[derive(Debug)]
pub(super) struct Evaluator;

/// There is none.
#[derive(Debug)]
pub(super) struct Compiled(Infallible);

impl Compiled {
    pub(super) fn needs_whole(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn warnings(&self) -> &[Fault] {
        match self.0 {}
    }

    pub(super) fn includes(&self) -> bool {
        match self.0 {}
    }
}

impl Evaluator {
    pub(super) fn new(_: &Options) -> Evaluator {
        Evaluator
    }

    pub(super) fn compile(&self, _: &[u8]) -> Result<Compiled, Vec<Fault>> {
        let message = "built without a Sieve engine: no script can run";
        Err(vec![Fault::new(None, message)])
    }

    pub(super) fn run(
        &self,
        _: &Script,
        compiled: &Compiled,
        _: &[String],
        _: &Incoming<'_>,
        _: &dyn Account,
        _: &dyn Fn(&Script) -> Result<Arc<Compiled>, ScriptError>,
        _: Option<&mut Trace>,
    ) -> Result<Ran, ScriptError> {
        match compiled.0 {}
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::mail::{Address, MailboxName, ReversePath};
    use crate::message::Message;
    use crate::sieve::{Engine, ErrorKind, Location, Plan, ScriptName, Scripts, Transport};

    struct Nothing;

    impl Account for Nothing {
        fn mailbox_exists(&self, _: &MailboxName) -> bool {
            false
        }

        fn seen(&self, _: &str) -> bool {
            false
        }

        fn include(&self, _: Location, _: &ScriptName) -> io::Result<Option<Script>> {
            Ok(None)
        }
    }

    #[test]
    fn every_message_is_kept_and_scripts_are_an_error() {
        let recipient = Address::parse("me@example.org").unwrap();
        let incoming = Incoming {
            message: &Message::from_bytes(*b"Subject: x\r\n\r\n"),
            reverse_path: &ReversePath::Null,
            recipient: &recipient,
            original: None,
            detail: None,
            own_addresses: &[],
            separator: '.',
            hostname: "mx.example.org",
            user: "me@example.org",
            transport: Transport::default(),
        };
        let engine = Engine::new(Options::default());
        let mut scripts = Scripts::default();
        let evaluation = engine.run(&scripts, &incoming, &Nothing);
        assert_eq!((evaluation.plan, evaluation.error), (Plan::keep(), None));
        scripts.user = Some(Script::new("user", *b"discard;"));
        let evaluation = engine.run(&scripts, &incoming, &Nothing);
        assert_eq!(evaluation.plan, Plan::keep());
        let error = evaluation.error.unwrap();
        assert_eq!(error.kind, ErrorKind::Compile);
        assert!(error.message.contains("built without a Sieve engine"));
    }
}
