//! Where Pigeonhole and we stand by different readings, each with the sentence that decides.

use super::case::Case;
use super::outcome::Outcome;

/// A standing difference.
#[derive(Debug)]
pub struct Known {
    /// What differs.
    pub what: &'static str,
    /// The paragraph.
    pub rfc: &'static str,
    /// What it says, and so who is right.
    pub decides: &'static str,
    /// Whether a case, made as small as it goes, is one of it.
    applies: fn(&Seen<'_>) -> bool,
}

/// A case, and what came of it.
struct Seen<'a> {
    case: &'a Case,
    /// Of all its scripts.
    text: &'a str,
    ours: &'a Outcome,
    theirs: &'a Outcome,
}

/// All of them; the table of docs/SIEVE.md has the same, which a test compares.
pub const KNOWN: &[Known] = &[
    Known {
        what: "a variable of an unknown namespace",
        rfc: "RFC 5229 §3",
        decides: "a namespace that no required extension has is an error, not an empty text",
        applies: |seen| *seen.ours == Outcome::Refused && *seen.theirs != Outcome::Refused && seen.has_namespace(),
    },
    Known {
        what: "the detail of an address without one is counted",
        rfc: "RFC 5233 §4",
        decides: "without a separator there is no detail, and what is not there counts nothing",
        applies: |seen| seen.has(&[":detail", ":count"]) && !seen.one_refuses(),
    },
    Known {
        what: "one mailbox twice, with other flags",
        rfc: "RFC 5232 §5",
        decides: "it does not say; a mailbox gets the message once with all flags asked for, Pigeonhole's has the last ones",
        applies: |seen| !seen.one_refuses() && seen.files_twice(),
    },
    Known {
        what: "the order of letters and [ \\ ] ^ _ `",
        rfc: "RFC 4790 §9.2.1",
        decides: "i;ascii-casemap compares in upper case, so these come after the letters",
        applies: |seen| seen.has(&[":value"]) && !seen.has(&["i;octet"]) && !seen.has(&["i;ascii-numeric"]),
    },
    Known {
        what: "a pattern with ? and a literal before a *",
        rfc: "RFC 5228 §2.7.1",
        decides: "? is one character and what follows must be there; Pigeonhole skips over what is not",
        applies: |seen| seen.has(&[":matches", "?"]) && !seen.one_refuses(),
    },
    Known {
        what: "the case of letters that are not ASCII",
        rfc: "RFC 5229 §4.1",
        decides: "ASCII must be changed, others may be: ours are, Pigeonhole's are not",
        applies: |seen| {
            let tags = [":upper", ":lower", ":upperfirst", ":lowerfirst"];
            let odd = [seen.text, &format!("{:?}", seen.ours)]
                .iter()
                .any(|text| !text.is_ascii());
            odd && tags.iter().any(|tag| seen.has(&[tag]))
        },
    },
    Known {
        what: "i;ascii-numeric of an empty text",
        rfc: "RFC 4790 §9.1.1",
        decides: "what begins with no digit is infinite, and so are all such texts alike, the empty one too",
        applies: |seen| seen.has(&["i;ascii-numeric"]) && !seen.has(&[":count"]) && !seen.one_refuses(),
    },
    Known {
        what: "a list of no addresses",
        rfc: "RFC 5228 §5.1",
        decides: "the test looks at addresses; an empty field has none, and not one that is empty",
        applies: |seen| seen.has(&["address "]) && seen.fields().any(|field| field.trim_end().ends_with(':')),
    },
    Known {
        what: "addresses that are not ASCII",
        rfc: "RFC 6532 §3.2",
        decides: "they are addresses; Pigeonhole does not see them",
        applies: |seen| seen.has(&["address "]) && seen.fields().any(|field| field.contains("bröken@")),
    },
    Known {
        what: "a body that is empty",
        rfc: "RFC 5173 §4",
        decides: "a header and an empty line have an empty text as their body; only without that line is there none",
        applies: |seen| seen.has(&["body"]) && seen.case.message.body.as_ref().is_none_or(|body| body.is_empty()),
    },
    Known {
        what: "the text of a part, by extracttext",
        rfc: "RFC 5703 §7",
        decides: "it does not say how markup becomes text, nor what a line end is: ours is one character, as in text:",
        applies: |seen| {
            let counts = seen.has(&[":length"]) || seen.has(&[":first"]) || seen.mail().contains("text/html");
            seen.has(&["extracttext"]) && counts && !seen.one_refuses()
        },
    },
    Known {
        what: "a field that begins with a line end",
        rfc: "RFC 5228 §2.4.2.2",
        decides: "white space at both ends of a field's text is not part of it",
        applies: |seen| !seen.one_refuses() && seen.mail().contains(":\n "),
    },
    Known {
        what: "date or its :index where there is no such field",
        rfc: "RFC 5260 §6",
        decides: "what the index does not find is not there, and the test is false",
        applies: |seen| seen.has(&["date ", ":index"]) && !seen.one_refuses(),
    },
    Known {
        what: "duplicate twice with the same id in one script",
        rfc: "RFC 7352 §3",
        decides: "both tests ask what earlier deliveries remembered; Pigeonhole's script fails",
        applies: |seen| *seen.theirs == Outcome::Failed && seen.has(&["duplicate "]),
    },
    Known {
        what: ":index with several field names",
        rfc: "RFC 5260 §6",
        decides: "it speaks of the occurrences of a named field: here each name is counted for itself, there all together",
        applies: |seen| seen.has(&[":index", "["]) && !seen.one_refuses(),
    },
    Known {
        what: "string without a comparator",
        rfc: "RFC 5228 §2.7.3",
        decides: "i;ascii-casemap is the default of every test; Pigeonhole's string has i;octet",
        applies: |seen| seen.has(&["string "]) && !seen.one_refuses(),
    },
    Known {
        what: "the body after addheader or deleteheader",
        rfc: "RFC 5293 §4",
        decides: "they change the header, and the body is what it was; Pigeonhole sees an empty one",
        applies: |seen| {
            let edits = seen.has(&["addheader"]) || seen.has(&["deleteheader"]);
            edits && seen.has(&["body"]) && !seen.one_refuses()
        },
    },
    Known {
        what: "global after the variable was read",
        rfc: "RFC 6609 §3.4.1",
        decides: "it is an error after `set` of that name; reading it before is none",
        applies: |seen| *seen.theirs == Outcome::Refused && seen.has(&["global \"", "${"]),
    },
    Known {
        what: "an included script that does not compile",
        rfc: "RFC 6609 §3.2",
        decides: "what is included is found when it is executed, and may be stored later than what includes it",
        applies: |seen| *seen.theirs == Outcome::Refused && *seen.ours != Outcome::Refused && seen.has(&["include \""]),
    },
    Known {
        what: "faults behind an ihave that asks for what is not here",
        rfc: "RFC 5463 §4",
        decides: "they count where they are executed; Pigeonhole's count when it compiles, where they are no unknown words",
        applies: |seen| *seen.theirs == Outcome::Refused && *seen.ours != Outcome::Refused && seen.has(&["ihave "]),
    },
    Known {
        what: "a variable that is set to a text with itself",
        rfc: "RFC 5229 §4",
        decides: "the value is what the string is before; in Pigeonhole's the variable is empty by then",
        applies: |seen| !seen.one_refuses() && seen.sets_by_itself(),
    },
    Known {
        what: "a parameter without a name",
        rfc: "RFC 5703 §4.1",
        decides: "no field has one, and what is not there counts nothing",
        applies: |seen| seen.has(&[":param", "\"\"", ":count"]) && !seen.one_refuses(),
    },
    Known {
        what: "an address gets a report for each type",
        rfc: "vnd.dovecot.report §3",
        decides: "one for each combination of type and recipient; Pigeonhole sends one to a recipient",
        applies: |seen| seen.text.matches("report ").count() > 1 && !seen.one_refuses(),
    },
    Known {
        what: "what was done already does not cancel the implicit keep",
        rfc: "RFC 5228 §2.10.2",
        decides: "fileinto and redirect cancel it whether or not the same was done before, or with :copy",
        applies: |seen| {
            let (Outcome::Done(ours), Outcome::Done(theirs)) = (seen.ours, seen.theirs) else {
                return false;
            };
            let (several, copies) = (!seen.case.before.is_empty(), seen.has(&[":copy"]));
            let keeps = theirs.filed.contains_key("INBOX") && !ours.filed.contains_key("INBOX");
            // The next script ran there, because the one before kept the message.
            let goes_on = theirs.redirected.is_superset(&ours.redirected)
                && ours.filed.keys().all(|mailbox| theirs.filed.contains_key(mailbox));
            ((several || copies) && keeps) || (several && copies && goes_on)
        },
    },
];

/// The one that explains a case.
pub fn classify(case: &Case, ours: &Outcome, theirs: &Outcome) -> Option<&'static Known> {
    let all = case
        .texts_before()
        .into_iter()
        .chain(case.texts_included().into_values());
    let text: String = all.chain([case.text()]).collect();
    let seen = Seen {
        case,
        text: &text,
        ours,
        theirs,
    };
    KNOWN.iter().find(|known| (known.applies)(&seen))
}

impl Seen<'_> {
    fn has(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.text.contains(word))
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.case.message.fields.iter().map(String::as_str)
    }

    fn mail(&self) -> String {
        String::from_utf8_lossy(&self.case.message.bytes()).replace("\r\n", "\n")
    }

    fn one_refuses(&self) -> bool {
        [self.ours, self.theirs]
            .iter()
            .any(|outcome| !matches!(outcome, Outcome::Done(_)))
    }

    /// `${name.` somewhere.
    fn has_namespace(&self) -> bool {
        self.text.split("${").skip(1).any(|rest| {
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            !name.is_empty() && rest[name.len()..].starts_with('.')
        })
    }

    /// `set "name" "... ${name} ..."`, in whatever case.
    fn sets_by_itself(&self) -> bool {
        let lower = self.text.to_lowercase();
        let sets = lower.lines().filter_map(|line| line.trim_start().strip_prefix("set "));
        sets.filter_map(|rest| rest.split_once("\" ")).any(|(before, value)| {
            let name = before.rsplit('"').next().unwrap_or_default();
            !name.is_empty() && value.contains(&format!("${{{name}}}"))
        })
    }

    fn files_twice(&self) -> bool {
        let commands = self.text.matches("keep").count() + self.text.matches("fileinto ").count();
        let sets = ["flag", ":create"].iter().any(|word| self.text.contains(word));
        // The implicit keep of a sequence is one, too.
        sets && (commands > 1 || !self.case.before.is_empty())
    }
}
