//! How actions are printed: each as a marked `fileinto`, its arguments before it.

use ring::digest;

use super::arguments::{Arguments, Kind};
use super::print::Printer;
use super::{extensions, strings};
use crate::sieve::syntax::{Argument, Call, Command, SyntaxError, Value};

impl Printer<'_> {
    pub(super) fn action_command(&mut self, command: &Command) -> Result<(), SyntaxError> {
        let call = &command.call;
        let done = match &command.block {
            Some(_) => Err(SyntaxError::new(
                call.position,
                format!("{} does not take a block", call.name),
            )),
            None => self.action_of(call),
        };
        match done {
            // RFC 5463 §4: an error only where it is executed.
            Err(fault) if self.ihave => {
                let message = strings::quote(&fault.message, strings::References::None);
                let message = message.map_err(|message| SyntaxError::new(fault.position, message))?;
                self.write(call.position, &format!("error {message};"));
                Ok(())
            }
            done => done,
        }
    }

    fn action_of(&mut self, call: &Call) -> Result<(), SyntaxError> {
        match call.name.as_str() {
            "keep" => {
                let arguments = Arguments::of(call, &[("flags", Kind::Texts)], false)?;
                self.flags_need_extension(&arguments)?;
                self.action(call, "keep", arguments.value("flags"), None)
            }
            "discard" => {
                Arguments::of(call, &[], false)?;
                self.action(call, "discard", None, None)
            }
            "redirect" => {
                let arguments = Arguments::of(call, &[("copy", Kind::Nothing)], true)?;
                self.tags_need_extensions(call)?;
                let kind = if arguments.has("copy") {
                    "redirect:copy"
                } else {
                    "redirect"
                };
                self.action(call, kind, None, arguments.text)
            }
            "fileinto" => self.fileinto(call),
            "vacation" => self.vacation(call),
            "notify" => self.notify(call),
            name => {
                let arguments = Arguments::of(call, &[], true)?;
                self.action(call, name, None, arguments.text)
            }
        }
    }

    fn fileinto(&mut self, call: &Call) -> Result<(), SyntaxError> {
        let known = [
            ("copy", Kind::Nothing),
            ("create", Kind::Nothing),
            ("flags", Kind::Texts),
            // RFC 8579 §4: no mailbox has a special use here, so the one named is taken.
            ("specialuse", Kind::Text),
        ];
        let arguments = Arguments::of(call, &known, true)?;
        self.tags_need_extensions(call)?;
        self.flags_need_extension(&arguments)?;
        if let Some(argument) = arguments.value("specialuse")
            && !self.has("special-use")
        {
            return Err(SyntaxError::new(
                argument.position,
                "\":specialuse\" needs: require \"special-use\";",
            ));
        }
        let copy = if arguments.has("copy") { ":copy" } else { "" };
        let create = if arguments.has("create") { ":create" } else { "" };
        let kind = format!("fileinto{copy}{create}");
        self.action(call, &kind, arguments.value("flags"), arguments.text)
    }

    // RFC 5230 §4
    fn vacation(&mut self, call: &Call) -> Result<(), SyntaxError> {
        let known = [
            ("days", Kind::Number),
            ("seconds", Kind::Number),
            ("subject", Kind::Text),
            ("from", Kind::Text),
            ("addresses", Kind::Texts),
            ("mime", Kind::Nothing),
            ("handle", Kind::Text),
        ];
        let arguments = Arguments::of(call, &known, true)?;
        if arguments.has("seconds") && !self.has("vacation-seconds") {
            let message = "\":seconds\" needs: require \"vacation-seconds\";";
            return Err(SyntaxError::new(call.position, message));
        }
        // RFC 6131 §2
        if arguments.has("seconds") && arguments.has("days") {
            let message = "\":days\" and \":seconds\" do not go together";
            return Err(SyntaxError::new(call.position, message));
        }
        for tag in ["days", "seconds"] {
            if let Some(Value::Number(number)) = arguments.value(tag).map(|argument| &argument.value) {
                self.action(call, &format!("vacation.{tag}:{number}"), None, None)?;
            }
        }
        if arguments.has("mime") {
            self.action(call, "vacation.mime", None, None)?;
        }
        for tag in ["subject", "from", "handle"] {
            if let Some(argument) = arguments.value(tag) {
                self.action(call, &format!("vacation.{tag}"), None, Some(argument))?;
            }
        }
        if let Some(addresses) = arguments.value("addresses") {
            self.each_address(call, addresses)?;
        }
        let hash = default_handle(&arguments);
        self.action(call, &format!("vacation:{hash}"), None, arguments.text)
    }

    fn each_address(&mut self, call: &Call, addresses: &Argument) -> Result<(), SyntaxError> {
        let list = match &addresses.value {
            Value::List(list) => list.clone(),
            other => other
                .strings()
                .iter()
                .map(|text| (addresses.position, (*text).to_owned()))
                .collect(),
        };
        for (position, text) in list {
            let one = Argument {
                position,
                value: Value::Text(text),
            };
            self.action(call, "vacation.address", None, Some(&one))?;
        }
        Ok(())
    }

    // RFC 5435 §3
    fn notify(&mut self, call: &Call) -> Result<(), SyntaxError> {
        let known = [
            ("from", Kind::Text),
            ("importance", Kind::Text),
            ("options", Kind::Texts),
            ("message", Kind::Text),
        ];
        let arguments = Arguments::of(call, &known, true)?;
        for tag in ["importance", "message"] {
            if let Some(argument) = arguments.value(tag) {
                self.action(call, &format!("notify.{tag}"), None, Some(argument))?;
            }
        }
        self.action(call, "notify", None, arguments.text)
    }

    fn tags_need_extensions(&self, call: &Call) -> Result<(), SyntaxError> {
        for argument in &call.arguments {
            if let Value::Tag(tag) = &argument.value
                && let Some(extension) = extensions::of_tag(tag)
                && !self.has(extension)
            {
                let message = format!("\":{tag}\" needs: require {extension:?};");
                return Err(SyntaxError::new(argument.position, message));
            }
        }
        Ok(())
    }

    fn flags_need_extension(&self, arguments: &Arguments<'_>) -> Result<(), SyntaxError> {
        match arguments.value("flags") {
            Some(flags) if !self.has("imap4flags") => Err(SyntaxError::new(
                flags.position,
                "\":flags\" needs: require \"imap4flags\";",
            )),
            _ => Ok(()),
        }
    }

    fn action(
        &mut self,
        call: &Call,
        kind: &str,
        flags: Option<&Argument>,
        text: Option<&Argument>,
    ) -> Result<(), SyntaxError> {
        self.write(call.position, "fileinto :copy");
        if let Some(flags) = flags {
            self.write(flags.position, ":flags");
            self.argument(flags)?;
        }
        let mark = format!(":mailboxid \"{}:{kind}\"", self.mark);
        self.write(call.position, &mark);
        match text {
            Some(text) => self.argument(text)?,
            None => self.write(call.position, "\"\""),
        }
        self.write(call.position, ";");
        Ok(())
    }
}

// RFC 5230 §4.2: without :handle, what is the same in all parameters is the same reply.
// Taken before variables are expanded: a reply that quotes the subject is still the same.
fn default_handle(arguments: &Arguments<'_>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let parts = [arguments.value("subject"), arguments.value("from"), arguments.text];
    for part in parts {
        let strings = part.map(|argument| argument.value.strings()).unwrap_or_default();
        for text in &strings {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.update(&[u8::from(strings.is_empty()), u8::from(arguments.has("mime"))]);
    }
    let hash = context.finish();
    hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
