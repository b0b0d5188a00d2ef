//! The arguments of a command or test: RFC 5228 §2.6. Tags are taken by name, in any order; positional
//! arguments in theirs; what is left over at the end is a fault.

use super::checker::Checker;
use super::extension::Extension;
use super::text::Text;
use crate::mail::nearest;
use crate::sieve::error::Place;
use crate::sieve::syntax::{Argument, Call, Command, Value};

/// The arguments of one call, as far as they are not taken yet.
pub(super) struct Arguments<'c> {
    call: &'c Call,
    taken: Vec<bool>,
    /// Tags that were asked for: the ones there are.
    known: Vec<&'static str>,
    /// The index of the first positional argument that was taken.
    first_positional: Option<usize>,
    is_command: bool,
    failed: bool,
}

impl<'c> Arguments<'c> {
    /// Those of a test.
    pub(super) fn of_test(call: &'c Call) -> Arguments<'c> {
        Arguments {
            call,
            taken: vec![false; call.arguments.len()],
            known: Vec::new(),
            first_positional: None,
            is_command: false,
            failed: false,
        }
    }

    /// Those of a command that has no block and no tests.
    pub(super) fn of_command(checker: &mut Checker<'_>, command: &'c Command) -> Option<Arguments<'c>> {
        let call = &command.call;
        if command.block.is_some() {
            return checker.error(
                command.end,
                format!("behind `{}` a semicolon is expected, not a block", call.name),
            );
        }
        Some(Arguments {
            is_command: true,
            ..Arguments::of_test(call)
        })
    }

    /// Where the command or test stands.
    pub(super) fn place(&self) -> Place {
        self.call.position
    }

    /// Whether a tag is there, without taking it.
    pub(super) fn peek(&self, tag: &str) -> bool {
        self.find(tag).is_some()
    }

    /// `:tag`: where it stands. `from` is the extension that brings it; without that it is an error.
    pub(super) fn tag(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
    ) -> Option<Place> {
        self.known.push(tag);
        let at = self.find(tag)?;
        self.taken[at] = true;
        let place = self.call.arguments[at].position;
        if let Some(extension) = from
            && !checker.needs(place, &format!("`:{tag}`"), extension)
        {
            self.failed = true;
        }
        Some(place)
    }

    /// One of several tags that exclude each other: which, and where.
    pub(super) fn one_of(
        &mut self,
        checker: &mut Checker<'_>,
        tags: &[(&'static str, Option<Extension>)],
    ) -> Option<(&'static str, Place)> {
        let mut found: Option<(&'static str, Place)> = None;
        for (tag, from) in tags {
            let Some(place) = self.tag(checker, tag, *from) else {
                continue;
            };
            match found {
                None => found = Some((tag, place)),
                Some((first, _)) => {
                    self.failed = true;
                    checker.error::<()>(place, format!("`:{tag}` does not go together with `:{first}`"));
                }
            }
        }
        found
    }

    /// `:tag "string"`.
    pub(super) fn tagged_text(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
    ) -> Option<(Place, Text)> {
        let argument = self.behind(checker, tag, from, "a string")?;
        let Value::Text(text) = &argument.value else {
            return self.wrong(checker, argument, &format!("a string is expected behind `:{tag}`"));
        };
        let text = self.compiled(checker, argument.position, text)?;
        Some((argument.position, text))
    }

    /// `:tag "string"`, with a string that is known when the script is compiled.
    pub(super) fn tagged_constant(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
    ) -> Option<(Place, String)> {
        let (place, text) = self.tagged_text(checker, tag, from)?;
        match text.constant() {
            Some(text) => Some((place, text.to_owned())),
            None => {
                self.failed = true;
                checker.error(place, format!("the string behind `:{tag}` cannot have variables"))
            }
        }
    }

    /// `:tag ["string", ...]`; one string is a list of one (RFC 5228 §2.4.2.1).
    pub(super) fn tagged_texts(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
    ) -> Option<Vec<(Place, Text)>> {
        let argument = self.behind(checker, tag, from, "a list of strings")?;
        self.list(
            checker,
            argument,
            &format!("a list of strings is expected behind `:{tag}`"),
        )
    }

    /// `:tag 12`.
    pub(super) fn tagged_number(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
    ) -> Option<(Place, u64)> {
        let argument = self.behind(checker, tag, from, "a number")?;
        match argument.value {
            Value::Number(number) => Some((argument.position, number)),
            _ => self.wrong(checker, argument, &format!("a number is expected behind `:{tag}`")),
        }
    }

    /// The next positional argument, a string. `what` it is, such as `a message`, is told where it is missing.
    pub(super) fn text(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<Text> {
        Some(self.placed_text(checker, what)?.1)
    }

    /// The same with its place.
    pub(super) fn placed_text(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<(Place, Text)> {
        let argument = self.positional(checker, what)?;
        let Value::Text(text) = &argument.value else {
            return self.wrong(checker, argument, &format!("{what} is expected here: a string"));
        };
        Some((argument.position, self.compiled(checker, argument.position, text)?))
    }

    /// The next positional argument, a string that is known when the script is compiled.
    pub(super) fn constant(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<(Place, String)> {
        let (place, text) = self.placed_text(checker, what)?;
        self.known_now(checker, place, &text).map(|text| (place, text))
    }

    /// The next positional argument, a list of strings.
    pub(super) fn texts(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<Vec<(Place, Text)>> {
        let argument = self.positional(checker, what)?;
        self.list(
            checker,
            argument,
            &format!("{what} are expected here: a string or a list of strings"),
        )
    }

    /// The same, of strings that are known when the script is compiled.
    pub(super) fn constants(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<Vec<(Place, String)>> {
        let texts = self.texts(checker, what)?;
        let known = texts
            .into_iter()
            .map(|(place, text)| self.known_now(checker, place, &text).map(|text| (place, text)));
        known.collect()
    }

    /// The next positional argument, a number.
    pub(super) fn number(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<u64> {
        let argument = self.positional(checker, what)?;
        match argument.value {
            Value::Number(number) => Some(number),
            _ => self.wrong(checker, argument, &format!("{what} is expected here: a number")),
        }
    }

    /// How many positional arguments are not taken yet.
    pub(super) fn remaining(&self) -> usize {
        self.untaken_positional().count()
    }

    /// Everything is taken, or it is a fault; nothing where there was any.
    pub(super) fn end(self, checker: &mut Checker<'_>) -> Option<()> {
        let name = &self.call.name;
        let mut failed = self.failed;
        for (at, argument) in self.call.arguments.iter().enumerate() {
            let late = self.first_positional.is_some_and(|first| first < at);
            match &argument.value {
                Value::Tag(tag) if !self.taken[at] => {
                    failed = true;
                    self.unknown_tag(checker, argument.position, tag);
                }
                // RFC 5228 §2.6.2
                Value::Tag(tag) if late => {
                    failed = true;
                    let place = argument.position;
                    checker.error::<()>(
                        place,
                        format!("`:{tag}` must stand before the strings and numbers of `{name}`"),
                    );
                }
                _ if !self.taken[at] => {
                    failed = true;
                    checker.error::<()>(argument.position, format!("`{name}` takes no further argument"));
                    break;
                }
                _ => {}
            }
        }
        if let Some(test) = self.call.tests.first() {
            failed = true;
            let known = super::commands().any(|kind| kind.name == test.name) || test.name == "if";
            let message = match (known, self.is_command) {
                (true, true) => format!("a semicolon is missing before `{}`", test.name),
                (true, false) => format!("commands stand in braces: `{{` is missing before `{}`", test.name),
                (false, _) => format!("`{name}` takes no test"),
            };
            checker.error::<()>(test.position, message);
        }
        (!failed).then_some(())
    }

    fn unknown_tag(&self, checker: &mut Checker<'_>, place: Place, tag: &str) {
        let name = &self.call.name;
        if self.known.contains(&tag) {
            checker.error::<()>(place, format!("`:{tag}` is given twice"));
            return;
        }
        let near = nearest(tag, self.known.iter().copied());
        let help = match near {
            Some(near) => Some(format!("did you mean `:{near}`?")),
            None if self.known.is_empty() => None,
            None => {
                let all: Vec<String> = self.known.iter().map(|tag| format!("`:{tag}`")).collect();
                Some(format!("it takes {}", all.join(", ")))
            }
        };
        checker.error_with_help::<()>(place, format!("`{name}` has no tag `:{tag}`"), help);
    }

    fn find(&self, tag: &str) -> Option<usize> {
        self.call
            .arguments
            .iter()
            .zip(&self.taken)
            .position(|(argument, taken)| !taken && matches!(&argument.value, Value::Tag(name) if name == tag))
    }

    // The argument that a tag takes.
    fn behind(
        &mut self,
        checker: &mut Checker<'_>,
        tag: &'static str,
        from: Option<Extension>,
        what: &str,
    ) -> Option<&'c Argument> {
        self.known.push(tag);
        let at = self.find(tag)?;
        self.tag(checker, tag, from);
        self.known.pop();
        let place = self.call.arguments[at].position;
        match self.call.arguments.get(at + 1) {
            Some(argument) if !matches!(argument.value, Value::Tag(_)) => {
                self.taken[at + 1] = true;
                Some(argument)
            }
            _ => {
                self.failed = true;
                checker.error(place, format!("{what} is missing behind `:{tag}`"))
            }
        }
    }

    fn untaken_positional(&self) -> impl Iterator<Item = usize> {
        let arguments = self.call.arguments.iter().zip(&self.taken).enumerate();
        arguments
            .filter(|(_, (argument, taken))| !**taken && !matches!(argument.value, Value::Tag(_)))
            .map(|(at, _)| at)
    }

    fn positional(&mut self, checker: &mut Checker<'_>, what: &str) -> Option<&'c Argument> {
        let next = self.untaken_positional().next();
        match next {
            Some(at) => {
                self.taken[at] = true;
                self.first_positional.get_or_insert(at);
                Some(&self.call.arguments[at])
            }
            None => {
                self.failed = true;
                checker.error(self.call.position, format!("`{}` needs {what}", self.call.name))
            }
        }
    }

    fn list(&mut self, checker: &mut Checker<'_>, argument: &'c Argument, wrong: &str) -> Option<Vec<(Place, Text)>> {
        match &argument.value {
            Value::Text(text) => Some(vec![(
                argument.position,
                self.compiled(checker, argument.position, text)?,
            )]),
            Value::List(list) => list
                .iter()
                .map(|(place, text)| Some((*place, self.compiled(checker, *place, text)?)))
                .collect(),
            _ => self.wrong(checker, argument, wrong),
        }
    }

    fn compiled(&mut self, checker: &mut Checker<'_>, place: Place, text: &str) -> Option<Text> {
        let compiled = checker.text(place, text);
        self.failed |= compiled.is_none();
        compiled
    }

    fn known_now(&mut self, checker: &mut Checker<'_>, place: Place, text: &Text) -> Option<String> {
        match text.constant() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.failed = true;
                checker.error(place, "this string cannot have variables")
            }
        }
    }

    /// Tags do not go together: a fault of the whole call.
    pub(super) fn wrong_tag<T>(&mut self, checker: &mut Checker<'_>, place: Place, message: &str) -> Option<T> {
        self.failed = true;
        checker.error(place, message)
    }

    fn wrong<T>(&mut self, checker: &mut Checker<'_>, argument: &Argument, message: &str) -> Option<T> {
        self.failed = true;
        checker.error(argument.position, message)
    }
}
