//! The text of a page: one line of it for people, all of it for a search.
//!
//! Not mail-parser's reader, which runs the texts of neighbouring table cells together and
//! loses what follows a comment such as `<!--- x --->`.

use mail_parser::decoders::html::add_html_token;

/// Elements whose content is no text.
const UNSEEN: [&str; 4] = ["style", "script", "title", "template"];
/// Elements that stand within a word; all others end one.
const INLINE: [&str; 23] = [
    "a", "abbr", "b", "big", "code", "del", "em", "font", "i", "img", "ins", "kbd", "mark", "s", "small", "span",
    "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];
/// Bytes of an entity.
const ENTITY_MAX: usize = 32;

/// Takes the tags away. What was cut off in a tag or an unseen element yields nothing. Takes time by the length
/// of the page.
#[must_use]
pub fn text_of_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with('<') {
            past_tag(rest, &mut text)
        } else {
            past_entity(rest, &mut text)
        };
    }
    text.push_str(rest);
    text
}

fn past_tag<'a>(html: &'a str, text: &mut String) -> &'a str {
    if let Some(comment) = html.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |end| &comment[end + 3..]);
    }
    let inside = html[1..].strip_prefix('/').unwrap_or(&html[1..]);
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        text.push('<');
        return &html[1..];
    }
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(inside.len());
    let name = inside[..end].to_ascii_lowercase();
    if !INLINE.contains(&name.as_str()) {
        text.push('\n');
    }
    let rest = past_bracket(&inside[end..]);
    if UNSEEN.contains(&name.as_str()) && !html.starts_with("</") {
        return past_element(rest, &name);
    }
    rest
}

/// What follows the bracket that ends a tag; one within quotes does not.
fn past_bracket(tag: &str) -> &str {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (byte, quote) {
            (b'>', None) => return &tag[at + 1..],
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => {}
        }
    }
    ""
}

/// What follows the text of an element: its end tag.
fn past_element<'a>(html: &'a str, name: &str) -> &'a str {
    let ends = html.match_indices("</").map(|(at, _)| &html[at..]);
    let is_end = |rest: &&str| {
        let found = rest.get(2..2 + name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    let mut ends = ends.filter(is_end);
    ends.next().unwrap_or_default()
}

fn past_entity<'a>(html: &'a str, text: &mut String) -> &'a str {
    let name = html.bytes().skip(1).take(ENTITY_MAX);
    let length = name
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#')
        .count();
    if length == 0 || html.as_bytes().get(length + 1) != Some(&b';') {
        text.push('&');
        return &html[1..];
    }
    let (entity, rest) = html.split_at(length + 2);
    add_html_token(text, entity.as_bytes(), false);
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_tags_away() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>a</p><p>b</p>", "a b"),
            ("<b>a</b>b<br/>c", "ab c"),
            ("<html><head><title>t</title><STYLE>x</style></head><body>a", "a"),
            ("a<!-- <b>x</b> -->b", "ab"),
            ("<a href=\"x>y\">b</a>", "b"),
            (
                "a &lt;b&gt; &amp; caf&eacute; &#233;&#xe9; &nope; & x&y",
                "a <b> & café éé &nope; & x&y",
            ),
            ("1 < 2 <3", "1 < 2 <3"),
            ("<td>a</td><td>b</td>", "a b"),
            ("a<!--- x > y --->b<!---->c<!-- open", "abc"),
            ("a<script>x</scr", "a"),
            ("a<div class='", "a"),
        ] {
            let words = text_of_html(html);
            let words: Vec<_> = words.split_whitespace().collect();
            assert_eq!(words.join(" "), text, "{html}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(html in "([<>&;/!\"'#a-c\u{e9} -]|<style|</style|<!--|&amp;|&#x){0,40}") {
            let _ = text_of_html(&html);
        }
    }
}
