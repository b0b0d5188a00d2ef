//! How tests are printed.

use super::extensions;
use super::print::{DETAIL_ITEM, Printer, SIZE_ITEM, UNKNOWN, USER_ITEM};
use crate::sieve::syntax::{Argument, Call, Place, SyntaxError, Value};

impl Printer<'_> {
    pub(super) fn test(&mut self, call: &Call) -> Result<(), SyntaxError> {
        if !self.known(call, "test", extensions::of_test(&call.name))? {
            self.write(call.position, &format!("{UNKNOWN}{}", call.name));
            return Ok(());
        }
        self.check_comparator(call)?;
        let detail = detail_test(call).filter(|_| self.has("subaddress"));
        let call = detail.as_ref().unwrap_or(call);
        let has_tag = |name: &str| call.arguments.iter().any(|a| a.value == Value::Tag(name.to_owned()));
        self.printed.needs_whole |= call.name == "body" || has_tag("mime") || has_tag("anychild");
        // A test that sets match variables cannot refer to them: sieve-rs stumbles.
        let sets = has_tag("matches") || has_tag("regex");
        let live = self.live;
        self.live &= !sets;
        match (call.name.as_str(), call.arguments.last().map(|last| &last.value)) {
            ("size", _) => self.size_test(call)?,
            ("string" | "environment", Some(Value::List(keys))) if keys.len() > 1 && !has_tag("count") => {
                self.each_key(call, keys)?;
            }
            _ => self.call(call)?,
        }
        self.live = self.live || live || sets;
        Ok(())
    }

    // RFC 5228 §2.7.3: a comparator other than the two standard ones is required first.
    fn check_comparator(&self, call: &Call) -> Result<(), SyntaxError> {
        let tags = call.arguments.windows(2);
        for pair in tags.filter(|pair| pair[0].value == Value::Tag("comparator".to_owned())) {
            let Value::Text(name) = &pair[1].value else {
                continue;
            };
            let extension = format!("comparator-{name}");
            let standard = matches!(name.as_str(), "i;octet" | "i;ascii-casemap");
            if !standard && !self.has(&extension) && !self.ihave {
                let message = format!("the comparator {name:?} needs: require {extension:?};");
                return Err(SyntaxError::new(pair[1].position, message));
            }
        }
        Ok(())
    }

    // RFC 5228 §5.9: size <":over" / ":under"> <limit: number>
    fn size_test(&mut self, call: &Call) -> Result<(), SyntaxError> {
        let (relation, limit) = match call.arguments.as_slice() {
            [
                Argument {
                    value: Value::Tag(tag), ..
                },
                Argument {
                    value: Value::Number(limit),
                    ..
                },
            ] if tag == "over" => ("gt", limit),
            [
                Argument {
                    value: Value::Tag(tag), ..
                },
                Argument {
                    value: Value::Number(limit),
                    ..
                },
            ] if tag == "under" => ("lt", limit),
            _ => {
                return Err(SyntaxError::new(
                    call.position,
                    "size needs \":over\" or \":under\", and a number",
                ));
            }
        };
        let test =
            format!("environment :value \"{relation}\" :comparator \"i;ascii-numeric\" \"{SIZE_ITEM}\" \"{limit}\"");
        self.write(call.position, &test);
        Ok(())
    }

    // sieve-rs lets only the last of several keys count.
    fn each_key(&mut self, call: &Call, keys: &[(Place, String)]) -> Result<(), SyntaxError> {
        self.write(call.position, "anyof(");
        for (at, (position, key)) in keys.iter().enumerate() {
            if at > 0 {
                self.write(*position, ",");
            }
            let mut one = call.clone();
            if let Some(last) = one.arguments.last_mut() {
                last.value = Value::Text(key.clone());
            }
            self.call(&one)?;
        }
        self.write(call.position, ")");
        Ok(())
    }
}

// RFC 5233 §4: what separates the detail is the site's to say, and sieve-rs knows only "+".
// `envelope :detail "to"` and `:user` therefore ask for what the site found.
fn detail_test(call: &Call) -> Option<Call> {
    let part = |argument: &Argument| match &argument.value {
        Value::Tag(tag) if tag == "user" => Some(USER_ITEM),
        Value::Tag(tag) if tag == "detail" => Some(DETAIL_ITEM),
        _ => None,
    };
    let item = call
        .arguments
        .iter()
        .find_map(part)
        .filter(|_| call.name == "envelope")?;
    let mut asked = call.clone();
    asked.name = "environment".to_owned();
    asked.arguments.retain(|argument| part(argument).is_none());
    let fields = asked.arguments.len().checked_sub(2)?;
    let field = asked.arguments.get_mut(fields)?;
    match field.value.strings().as_slice() {
        [name] if name.eq_ignore_ascii_case("to") => {}
        _ => return None,
    }
    field.value = Value::Text(item.to_owned());
    Some(asked)
}
