//! Tests by chance, with keys that often match.

use super::chance::Chance;
use super::message::{DATES, SUBJECTS, VALUES};
use super::script::{Test, Value};

/// A list of one to three of them, sometimes a text alone.
pub fn texts(chance: &mut Chance, all: &[&str]) -> Value {
    if chance.percent(60) {
        return Value::Text((*chance.pick(all)).to_owned());
    }
    let count = 1 + chance.below(3);
    Value::List((0..count).map(|_| (*chance.pick(all)).to_owned()).collect())
}

pub fn number(chance: &mut Chance, all: &[&str]) -> Value {
    Value::Number((*chance.pick(all)).to_owned())
}

/// Any test; `subject` says which are wanted most.
pub fn any_test(chance: &mut Chance, subject: &str, depth: usize) -> Test {
    if depth < 3 && chance.percent(20) {
        let count = 1 + chance.below(3);
        let mut inner = |count| {
            (0..count)
                .map(|_| any_test(chance, subject, depth + 1))
                .collect::<Vec<Test>>()
        };
        return match count {
            1 => Test::of("not", inner(1)),
            2 => Test::of("anyof", inner(2)),
            _ => Test::of("allof", inner(3)),
        };
    }
    match subject {
        "parts" if chance.percent(70) => of_part(chance),
        "headers" if chance.percent(70) => of_changed(chance),
        "flags" if chance.percent(50) => hasflag(chance),
        "variables" if chance.percent(50) => string(chance),
        _ => of_message(chance),
    }
}

fn of_message(chance: &mut Chance) -> Test {
    match chance.below(26) {
        0..=6 => header(chance),
        7..=10 => address(chance),
        11 | 12 => envelope(chance),
        13 => exists(chance),
        14 => size(chance),
        15..=17 => body(chance),
        18 | 19 => date(chance),
        20 => hasflag(chance),
        21 => string(chance),
        22 => Test::new(chance.of_all(&["true", "false"])),
        _ => of_surroundings(chance),
    }
}

const FIELDS: &[&str] = &[
    "Subject",
    "subject",
    "X-Test",
    "X-Num",
    "List-Id",
    "From",
    "To",
    "Cc",
    "X-Empty",
    "X-Missing",
    "Received",
    "Content-Type",
    "X-Spam-Score",
];

fn header(chance: &mut Chance) -> Test {
    let test = indexed(chance, Test::new("header"));
    let values = || SUBJECTS.iter().map(|(_, seen)| *seen).chain(VALUES.iter().copied());
    let pool: Vec<&str> = values().collect();
    let fields = texts(chance, FIELDS);
    compared(chance, test, fields, &pool)
}

const ADDRESS_FIELDS: &[&str] = &["From", "To", "Cc", "Reply-To", "Sender", "Resent-To", "to"];

const ADDRESS_KEYS: &[&str] = &[
    "sender@example.com",
    "me@example.org",
    "me+det@example.org",
    "ann@example.org",
    "example.org",
    "Example.ORG",
    "me",
    "me+det",
    "det",
    "a+b",
    "ann",
    "odd local",
    "quo\"ted",
    "b@y.example",
    "d@z.example",
    "nobody",
    "",
    "joerg",
    "[192.0.2.1]",
    "sub.example.org",
    "bröken",
];

fn address(chance: &mut Chance) -> Test {
    let test = indexed(chance, Test::new("address"));
    let test = part_of_address(chance, test);
    let fields = texts(chance, ADDRESS_FIELDS);
    compared(chance, test, fields, ADDRESS_KEYS)
}

fn part_of_address(chance: &mut Chance, test: Test) -> Test {
    match chance.below(8) {
        0 => test.tag(":all"),
        1 => test.tag(":localpart"),
        2 => test.tag(":domain"),
        3 => test.tag(":user"),
        4 => test.tag(":detail"),
        _ => test,
    }
}

fn envelope(chance: &mut Chance) -> Test {
    let test = part_of_address(chance, Test::new("envelope"));
    let parts = texts(chance, &["from", "to", "From", "TO"]);
    compared(chance, test, parts, ADDRESS_KEYS)
}

fn exists(chance: &mut Chance) -> Test {
    Test::new("exists").value(texts(chance, FIELDS))
}

fn size(chance: &mut Chance) -> Test {
    let limit = number(chance, &["0", "1", "100", "1K", "1k", "1M", "4G"]);
    Test::new("size").tag_with(chance.of_all(&[":over", ":under"]), limit)
}

fn body(chance: &mut Chance) -> Test {
    let test = Test::new("body");
    let test = match chance.below(5) {
        0 | 1 => test.tag(":raw"),
        2 => test.tag(":text"),
        3 => {
            let types = [
                "text",
                "text/plain",
                "text/html",
                "",
                "multipart",
                "message/rfc822",
                "application",
                "Text/Plain",
            ];
            test.tag_with(":content", texts(chance, &types))
        }
        _ => test,
    };
    let pool = [
        "hello",
        "hello world",
        "Hello",
        "Grüße",
        "some text",
        "world",
        "",
        "inner",
        "aGVs",
        "10",
        "<b>",
        "b0",
        "pre",
    ];
    let (test, keys) = with_keys(chance, test, &pool);
    test.value(keys)
}

fn date(chance: &mut Chance) -> Test {
    let mut test = indexed(chance, Test::new("date"));
    match chance.below(4) {
        0 => test = test.tag(":originalzone"),
        1 | 2 => {
            let zones = ["+0000", "-0500", "+0530", "+1400"];
            test = test.tag_with(":zone", Value::Text((*chance.pick(&zones)).to_owned()));
        }
        _ => {}
    }
    let part = *chance.pick(&[
        "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone",
        "weekday",
    ]);
    let pool = [
        "2026",
        "06",
        "6",
        "01",
        "2026-06-01",
        "53100",
        "12",
        "23",
        "00",
        "59",
        "60",
        "12:00:00",
        "1",
        "0",
        "7",
        "2026-06-01T12:00:00+00:00",
        "+0000",
        "-0500",
        "2004",
        "1997",
        "2009-12-31",
        "3",
        DATES[0],
        "Mon, 1 Jun 2026 12:00:00 +0000",
    ];
    let (test, keys) = with_keys(chance, test, &pool);
    let field = *chance.pick(&["Date", "Received", "date", "Subject", "X-Missing"]);
    test.text(field).text(part).value(keys)
}

fn hasflag(chance: &mut Chance) -> Test {
    let pool = [
        "\\Seen",
        "\\seen",
        "t1",
        "a",
        "B",
        "b",
        "$Work",
        "\\Flagged",
        "",
        "a b",
        "1",
        "2",
        "0",
    ];
    let (test, keys) = with_keys(chance, Test::new("hasflag"), &pool);
    let test = if chance.percent(20) {
        test.value(texts(chance, &["a", "B"]))
    } else {
        test
    };
    test.value(keys)
}

fn string(chance: &mut Chance) -> Test {
    let pool = [
        "hello ", "Wörld", "x", "", "a*b?c\\d", "hello x", "HELLO", "äö", "10", "${a}", "${1}",
    ];
    let (test, keys) = with_keys(chance, Test::new("string"), &pool);
    let sources = texts(
        chance,
        &["${a}", "${b}", "${1}", "x${a}", "hello ", "", "${long_name}", "10"],
    );
    test.value(sources).value(keys)
}

fn of_surroundings(chance: &mut Chance) -> Test {
    match chance.below(6) {
        0 => {
            let names = [
                "fileinto",
                "body",
                "nonsense",
                "comparator-i;octet",
                "comparator-i;ascii-numeric",
                "envelope",
                "variables",
                "vnd.example.x",
                "encoded-character",
                "",
            ];
            Test::new("ihave").value(texts(chance, &names))
        }
        1 => Test::new("mailboxexists").value(texts(chance, &["INBOX", "Lists", "Work.Urgent", "Missing", "inbox"])),
        2 => {
            let methods = [
                "mailto:a@example.net",
                "mailto:",
                "xmpp:a@b",
                "nothing",
                "MAILTO:x@y.example?subject=a",
                "mailto:@",
            ];
            Test::new("valid_notify_method").value(texts(chance, &methods))
        }
        3 => {
            // What is known of it differs between any two sites.
            let (test, keys) = with_keys(chance, Test::new("environment"), &["during", ""]);
            test.text("x-none").value(keys)
        }
        4 => duplicate(chance),
        _ => {
            let test = Test::new("notify_method_capability");
            let (test, keys) = with_keys(chance, test, &["maybe", "yes", "no"]);
            test.text(*chance.pick(&["mailto:a@example.net", "xmpp:a@b"]))
                .text(*chance.pick(&["Online", "online", "Other"]))
                .value(keys)
        }
    }
}

fn duplicate(chance: &mut Chance) -> Test {
    let test = Test::new("duplicate");
    match chance.below(4) {
        0 => test.tag_with(":header", Value::Text("X-Test".to_owned())),
        1 => test.tag_with(":uniqueid", Value::Text("one".to_owned())),
        2 => test
            .tag_with(":handle", Value::Text("h".to_owned()))
            .tag_with(":seconds", Value::Number("60".to_owned())),
        _ => test.tag(":last"),
    }
}

fn of_changed(chance: &mut Chance) -> Test {
    let fields = ["X-Test", "X-New", "Subject", "X-Num"];
    if chance.percent(20) {
        return Test::new("exists").value(texts(chance, &fields));
    }
    let test = indexed(chance, Test::new("header"));
    let named = texts(chance, &fields);
    compared(
        chance,
        test,
        named,
        &[
            "new hello",
            "10",
            "Grüße",
            "",
            "a\nb",
            "a b",
            "hello",
            "two  spaces",
            "Hello",
        ],
    )
}

fn of_part(chance: &mut Chance) -> Test {
    let mut test = Test::new("header").tag(":mime");
    if chance.percent(25) {
        test = test.tag(":anychild");
    }
    match chance.below(7) {
        0 => test = test.tag(":type"),
        1 => test = test.tag(":subtype"),
        2 => test = test.tag(":contenttype"),
        3 => test = test.tag_with(":param", texts(chance, &["charset", "boundary", "filename", "name"])),
        4 => {
            let fields = texts(
                chance,
                &["Content-Type", "Content-Disposition", "Subject", "Content-ID"],
            );
            let mut exists = Test::new("exists").tag(":mime");
            if chance.percent(40) {
                exists = exists.tag(":anychild");
            }
            return exists.value(fields);
        }
        _ => {}
    }
    let pool = [
        "text",
        "plain",
        "text/plain",
        "utf-8",
        "multipart",
        "mixed",
        "application/pdf",
        "report.pdf",
        "b0",
        "html",
        "message/rfc822",
        "inner hello",
        "attachment",
        "iso-8859-1",
        "",
    ];
    let structured = test.arguments.len() > 2 || chance.percent(50);
    let all: &[&str] = if structured {
        &["Content-Type", "Content-Disposition"]
    } else {
        &["Subject", "From"]
    };
    let fields = texts(chance, all);
    compared(chance, test, fields, &pool)
}

fn indexed(chance: &mut Chance, test: Test) -> Test {
    if !chance.percent(12) {
        return test;
    }
    let index = number(chance, &["1", "2", "3"]);
    let test = test.tag_with(":index", index);
    if chance.percent(50) { test.tag(":last") } else { test }
}

/// A test with what it looks at and keys.
fn compared(chance: &mut Chance, test: Test, sources: Value, pool: &[&str]) -> Test {
    let (test, keys) = with_keys(chance, test, pool);
    test.value(sources).value(keys)
}

/// A match type and a comparator (RFC 5228 §2.7), and keys that go with them.
fn with_keys(chance: &mut Chance, mut test: Test, pool: &[&str]) -> (Test, Value) {
    let comparator = match chance.below(20) {
        0..=2 => Some("i;octet"),
        3 | 4 => Some("i;ascii-casemap"),
        5 => Some("i;ascii-numeric"),
        _ => None,
    };
    let numeric = comparator == Some("i;ascii-numeric");
    let kind = if numeric {
        chance.pick(&[0, 1, 6, 7])
    } else {
        chance.pick(&[0, 1, 2, 3, 4, 4, 5, 6, 7])
    };
    test = match *kind {
        1 => test.tag(":is"),
        2 | 3 => test.tag(":contains"),
        4 => test.tag(":matches"),
        5 => test.tag(":regex"),
        6 => test.tag_with(":count", relation(chance)),
        7 => test.tag_with(":value", relation(chance)),
        _ => test,
    };
    if *kind == 6 && comparator.is_none() {
        test = test.tag_with(":comparator", Value::Text("i;ascii-numeric".to_owned()));
    }
    if let Some(name) = comparator {
        test = test.tag_with(":comparator", Value::Text(name.to_owned()));
    }
    let count = if chance.percent(70) { 1 } else { 1 + chance.below(3) };
    let mut keys = Vec::new();
    for _ in 0..count {
        let key = *chance.pick(pool);
        keys.push(match kind {
            2 | 3 => piece(chance, key),
            4 => pattern(chance, key),
            5 => expression(chance, key),
            6 => (*chance.pick(&["0", "1", "2", "3"])).to_owned(),
            7 if numeric => (*chance.pick(&["0", "10", "9", "hello", "", "18446744073709551616"])).to_owned(),
            _ => changed_case(chance, key),
        });
    }
    let value = match keys.as_slice() {
        [key] => Value::Text(key.clone()),
        _ => Value::List(keys),
    };
    (test, value)
}

fn relation(chance: &mut Chance) -> Value {
    Value::Text((*chance.pick(&["gt", "ge", "lt", "le", "eq", "ne"])).to_owned())
}

fn changed_case(chance: &mut Chance, key: &str) -> String {
    match chance.below(6) {
        0 => key.to_uppercase(),
        1 => key.to_lowercase(),
        _ => key.to_owned(),
    }
}

fn piece(chance: &mut Chance, key: &str) -> String {
    let characters: Vec<char> = changed_case(chance, key).chars().collect();
    if characters.is_empty() || chance.percent(30) {
        return characters.into_iter().collect();
    }
    let from = chance.below(characters.len());
    let to = from + 1 + chance.below(characters.len() - from);
    characters[from..to].iter().collect()
}

/// A pattern of `:matches`, out of a value that it may match.
fn pattern(chance: &mut Chance, key: &str) -> String {
    let key = changed_case(chance, key);
    let mut pattern = String::new();
    let mut characters = key.chars().peekable();
    if chance.percent(30) {
        pattern.push('*');
    }
    while let Some(c) = characters.next() {
        match chance.below(12) {
            0 => pattern.push('?'),
            1 => {
                pattern.push('*');
                for _ in 0..chance.below(4) {
                    characters.next();
                }
            }
            2 if c == '*' || c == '?' => pattern.push(c),
            3 => pattern.extend(['\\', c]),
            _ if matches!(c, '*' | '?' | '\\') => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    if chance.percent(40) {
        pattern.push_str(chance.of_all(&["*", "*", "?", "**", "*?", "\\"]));
    }
    pattern
}

/// A regular expression, out of a value that it may match.
fn expression(chance: &mut Chance, key: &str) -> String {
    let key = changed_case(chance, key);
    let mut expression = String::new();
    if chance.percent(25) {
        expression.push('^');
    }
    for c in key.chars() {
        match chance.below(14) {
            0 => expression.push('.'),
            1 => expression.push_str(".*"),
            2 => expression.push_str("(.*)"),
            3 => expression.push_str("[a-z]"),
            4 => expression.push_str("[^x]"),
            5 => expression.push_str(&format!("({})", escaped(c))),
            6 => expression.push_str(&format!("{}+", escaped(c))),
            7 => expression.push_str(&format!("{}?", escaped(c))),
            8 => expression.push_str("[[:alnum:]]"),
            _ => expression.push_str(&escaped(c)),
        }
    }
    if chance.percent(25) {
        expression.push('$');
    }
    expression
}

fn escaped(c: char) -> String {
    if "\\.[]()*+?{}|^$".contains(c) {
        format!("\\{c}")
    } else {
        c.to_string()
    }
}
