//! What a script tested and did, line by line.

use serde_json::{Value, json};

use crate::sieve::{Trace, TraceEvent, TraceLine};

/// A listing for people: the number of the script's line, and what happened there, deeper things further to the right.
pub(super) fn for_people(trace: &Trace) -> String {
    if trace.lines.is_empty() {
        return "nothing was noted on the way\n".to_owned();
    }
    let highest = trace.lines.iter().map(|line| line.line).max().unwrap_or(0);
    let width = highest.to_string().len().max(3);
    let mut text = String::new();
    let mut script = "";
    let mut number = 0;
    for line in &trace.lines {
        if *line.script != *script {
            text.push_str(&format!("{}\n", line.script));
            (script, number) = (&line.script, 0);
        }
        // A number that stands above is not said again.
        let shown = match line.line == number {
            true => String::new(),
            false => line.line.to_string(),
        };
        number = line.line;
        let indent = 2 * usize::try_from(line.depth).unwrap_or(0).min(40);
        text.push_str(&format!("{shown:>width$}  {:indent$}{}\n", "", words(&line.event)));
    }
    if trace.truncated {
        text.push_str("there was more, which was not noted\n");
    }
    text
}

fn words(event: &TraceEvent) -> String {
    match event {
        TraceEvent::Test(test) => format!("? {test}"),
        TraceEvent::Value {
            of,
            value,
            matched: Some(key),
        } => format!("{of} = {value:?} matches {key:?}"),
        TraceEvent::Value {
            of,
            value,
            matched: None,
        } => format!("{of} = {value:?} matches nothing"),
        TraceEvent::Result(result) => format!("is {result}"),
        TraceEvent::Command(command) => format!("> {command}"),
        TraceEvent::Note(note) => format!("# {note}"),
    }
}

/// The lines for `--json`: each has script, line, depth and event, and what belongs to it.
pub(super) fn describe(trace: &Trace) -> Value {
    trace.lines.iter().map(describe_line).collect()
}

fn describe_line(line: &TraceLine) -> Value {
    let mut described = match &line.event {
        TraceEvent::Test(text) => json!({"event": "test", "text": text}),
        TraceEvent::Value { of, value, matched } => {
            json!({"event": "value", "of": of, "value": value, "matched": matched})
        }
        TraceEvent::Result(result) => json!({"event": "result", "result": result}),
        TraceEvent::Command(text) => json!({"event": "command", "text": text}),
        TraceEvent::Note(text) => json!({"event": "note", "text": text}),
    };
    described["script"] = json!(&*line.script);
    described["line"] = json!(line.line);
    described["depth"] = json!(line.depth);
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let line = |script: &str, line, depth, event| TraceLine {
            script: script.into(),
            line,
            depth,
            event,
        };
        Trace {
            lines: vec![
                line("main", 9, 0, TraceEvent::Test("header :contains".to_owned())),
                line(
                    "main",
                    9,
                    1,
                    TraceEvent::Value {
                        of: "Subject".to_owned(),
                        value: "red \"x\"".to_owned(),
                        matched: Some("red".to_owned()),
                    },
                ),
                line("main", 9, 0, TraceEvent::Result(true)),
                line("main", 1000, 1, TraceEvent::Command("fileinto \"Red\"".to_owned())),
                line("other", 1, 0, TraceEvent::Note("begins".to_owned())),
            ],
            truncated: true,
        }
    }

    #[test]
    fn a_listing_is_aligned() {
        let expected = "main\n   9  ? header :contains\n        Subject = \"red \\\"x\\\"\" matches \"red\"\n      is true\n\
                        1000    > fileinto \"Red\"\nother\n   1  # begins\nthere was more, which was not noted\n";
        assert_eq!(for_people(&trace()), expected);
        assert_eq!(for_people(&Trace::default()), "nothing was noted on the way\n");
    }

    #[test]
    fn lines_are_described() {
        let described = describe(&trace());
        let value = json!({"script": "main", "line": 9, "depth": 1, "event": "value", "of": "Subject",
            "value": "red \"x\"", "matched": "red"});
        assert_eq!(described[1], value);
        assert_eq!(described[2]["result"], json!(true));
        assert_eq!(described.as_array().map(Vec::len), Some(5));
    }
}
