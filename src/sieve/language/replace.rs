//! `replace` and `enclose`: another message in place of the one that came (RFC 5703 §5, §6).

use std::io::Read;

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::fields::{check_name, is_field_name};
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::subject::{parsed, unreadable};
use super::text::Text;
use crate::mail::Address;
use crate::message::{Header, Mailbox, Message, Piece, encoded_field, encoded_mailboxes, encoded_text, mailboxes};
use crate::sieve::error::Place;
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "replace",
        from: &[Extension::Replace],
        compile: compile_replace,
    },
    CommandKind {
        name: "enclose",
        from: &[Extension::Enclose],
        compile: compile_enclose,
    },
];

/// Bytes of a header field that is copied or kept under another name.
const FIELD_MAX: usize = 64 * 1024;
/// Parts that stand before the message in what encloses it: the new message, its text, and the part that holds it.
const BEFORE_ENCLOSED: usize = 3;

// replace [":mime"] [":subject" string] [":from" string] <replacement: string>
fn compile_replace(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    checker.needs_whole = true;
    let mime = arguments.tag(checker, "mime", None).is_some();
    let subject = arguments.tagged_text(checker, "subject", None);
    let from = arguments.tagged_text(checker, "from", None);
    let text = arguments.placed_text(checker, "a replacement");
    arguments.end(checker)?;
    let (place, text) = text?;
    if let Some((place, from)) = &from
        && let Some(Err(message)) = from.constant().map(mailbox_list)
    {
        return checker.error(*place, message);
    }
    if mime && let Some(constant) = text.constant() {
        check_entity(checker, place, constant);
    }
    Some(Box::new(Replace {
        mime,
        subject: subject.map(|(_, text)| text),
        from: from.map(|(_, text)| text),
        text,
    }))
}

// RFC 5703 §5: a mailbox-list by RFC 5322.
fn mailbox_list(text: &str) -> Result<Vec<Mailbox>, String> {
    let list = mailboxes(text.as_bytes());
    let is_right = |mailbox: &Mailbox| {
        let address = mailbox.address.as_deref().map(Address::parse);
        matches!(address, Some(Ok(address)) if !address.domain().is_empty())
    };
    match !list.is_empty() && list.iter().all(is_right) {
        true => Ok(list),
        false => Err(format!("{text:?} is no list of addresses")),
    }
}

fn check_entity(checker: &mut Checker<'_>, place: Place, text: &str) {
    let entity = Message::from_bytes(text);
    if entity.header().first("Content-Type").is_none() {
        checker.warn(
            place,
            "with `:mime` the text begins with a field Content-Type and an empty line, and this does not",
        );
    }
}

#[derive(Debug)]
struct Replace {
    mime: bool,
    subject: Option<Text>,
    from: Option<Text>,
    text: Text,
}

/// What takes the place of a part: its Content-* fields, each with its line end, and its body.
struct Entity {
    fields: String,
    body: Vec<u8>,
}

impl Execute for Replace {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let base = run.subject.base().clone();
        let line_end = base.line_end();
        let text = self.text.value(run)?;
        let entity = match self.mime {
            true => entity_of(&text, line_end),
            false => text_entity(&text, line_end),
        };
        run.work(usize::try_from(base.size()).unwrap_or(usize::MAX), 1)?;
        let index = run.part_at_hand();
        let message = match index {
            0 => self.whole(run, &base, entity)?,
            _ => part_replaced(run, &base, index, entity)?,
        };
        run.replace_part(message, index);
        Ok(Flow::Next)
    }
}

impl Replace {
    // RFC 5703 §5: all fields stay but those of the MIME structure. The previous Subject and From stay under other
    // names where there are new ones.
    fn whole(&self, run: &mut Run<'_>, base: &Message, entity: Entity) -> Result<Message, Stop> {
        let line_end = base.line_end();
        let mut new = Vec::new();
        if let Some(subject) = &self.subject {
            new.push(("Subject", encoded_field("Subject", &subject.value(run)?, line_end)));
        }
        if let Some(from) = &self.from {
            let list = mailbox_list(&from.value(run)?).map_err(|message| Stop::error(format!("replace: {message}")))?;
            new.push(("From", encoded_mailboxes("From", &list, line_end)));
        }
        let mut head = kept_fields(&run.subject.header_block()?, |name| match name {
            name if is_structural(name) => Kept::No,
            name if new.iter().any(|(changed, _)| name.eq_ignore_ascii_case(changed)) => Kept::Original,
            _ => Kept::Yes,
        });
        end_line(&mut head, line_end);
        for (_, field) in new {
            head.extend_from_slice(field.as_bytes());
        }
        head.extend_from_slice(format!("MIME-Version: 1.0{line_end}{}{line_end}", entity.fields).as_bytes());
        let mut body = entity.body;
        end_line(&mut body, line_end);
        base.composed(vec![Piece::Text(head), Piece::Text(body)])
            .map_err(unreadable)
    }
}

fn part_replaced(run: &mut Run<'_>, base: &Message, index: usize, entity: Entity) -> Result<Message, Stop> {
    let line_end = base.line_end();
    let structure = base.structure();
    let Some(part) = structure.parts.get(index) else {
        return run.subject.message();
    };
    // The lines of the text must not end a multipart around it.
    let mut around = part.parent;
    while let Some(parent) = around.map(|index| &structure.parts[index]) {
        if let Some(boundary) = &parent.boundary
            && has_boundary(&entity, boundary)
        {
            return Err(Stop::error("replace: the text holds a boundary of the message"));
        }
        around = parent.parent;
    }
    let header = run.part_header(index)?;
    let mut new = kept_fields(header.bytes(), |name| match is_structural(name) {
        true => Kept::No,
        false => Kept::Yes,
    });
    end_line(&mut new, line_end);
    new.extend_from_slice(entity.fields.as_bytes());
    new.extend_from_slice(line_end.as_bytes());
    new.extend_from_slice(&entity.body);
    // Where no line end is left for the boundary that follows.
    let end = part.body.end;
    if end < base.size() && begins_line(base, end)? {
        end_line(&mut new, line_end);
    }
    let body = structure.root().body.start;
    let pieces = vec![
        run.subject.head()?,
        Piece::Own(body..part.header.start),
        Piece::Text(new),
        Piece::Own(end..base.size()),
    ];
    base.composed(pieces).map_err(unreadable)
}

fn has_boundary(entity: &Entity, boundary: &[u8]) -> bool {
    let boundary = boundary.trim_ascii_end();
    let mut lines = entity.body.split(|byte| *byte == b'\n');
    !boundary.is_empty() && lines.any(|line| line.strip_prefix(b"--").is_some_and(|rest| rest.starts_with(boundary)))
}

fn begins_line(message: &Message, offset: u64) -> Result<bool, Stop> {
    let before = message.range(offset.saturating_sub(1)..offset).map_err(unreadable)?;
    Ok(before == b"\n")
}

/// What becomes of a field.
enum Kept {
    Yes,
    No,
    /// Under its name with `Original-` before it.
    Original,
}

// What says how the body is made (RFC 2045 §3: all such fields begin with "Content-").
fn is_structural(name: &str) -> bool {
    let begins = name
        .get(..8)
        .is_some_and(|begin| begin.eq_ignore_ascii_case("Content-"));
    begins || name.eq_ignore_ascii_case("MIME-Version")
}

// A header block with some of its fields left out or renamed; lines that are no field stay.
fn kept_fields(block: &[u8], decide: impl Fn(&str) -> Kept) -> Vec<u8> {
    let mut kept = Vec::with_capacity(block.len());
    let mut from = 0;
    for field in parsed(block).fields() {
        let range = field.range();
        let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(block.len());
        let (start, end) = (offset(range.start), offset(range.end));
        match decide(field.name()) {
            Kept::Yes => continue,
            Kept::No => kept.extend_from_slice(&block[from..start]),
            Kept::Original => {
                kept.extend_from_slice(&block[from..start]);
                kept.extend_from_slice(b"Original-");
                kept.extend_from_slice(&block[start..end]);
            }
        }
        from = end;
    }
    kept.extend_from_slice(&block[from..]);
    kept
}

fn end_line(bytes: &mut Vec<u8>, line_end: &str) {
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.extend_from_slice(line_end.as_bytes());
    }
}

// RFC 5703 §5: text/plain in UTF-8.
fn text_entity(text: &str, line_end: &str) -> Entity {
    let (encoding, body) = encoded_text(text, line_end);
    Entity {
        fields: format!(
            "Content-Type: text/plain; charset=utf-8{line_end}Content-Transfer-Encoding: {encoding}{line_end}"
        ),
        body,
    }
}

// RFC 2045 §2.4: MIME headers and content. Only fields that describe the content are taken from it.
fn entity_of(text: &str, line_end: &str) -> Entity {
    let text = text.replace("\r\n", "\n").replace(['\r', '\0'], " ");
    let entity = Message::from_bytes(text.replace('\n', line_end));
    let root = entity.structure().root();
    let content = |name: &str| {
        name.get(..8)
            .is_some_and(|begin| begin.eq_ignore_ascii_case("Content-"))
    };
    let mut fields = String::new();
    for field in entity.header().fields().filter(|field| content(field.name())) {
        fields.push_str(&String::from_utf8_lossy(field.raw()));
        if !fields.ends_with('\n') {
            fields.push_str(line_end);
        }
    }
    let bytes = entity.bytes().unwrap_or_default();
    let start = usize::try_from(root.body.start).unwrap_or(usize::MAX);
    let body = bytes.get(start..).unwrap_or_default().to_vec();
    if root.encoding.is_none() && !body.is_ascii() {
        fields.push_str(&format!("Content-Transfer-Encoding: 8bit{line_end}"));
    }
    Entity { fields, body }
}

// enclose [":subject" string] [":headers" string-list] <text: string>
fn compile_enclose(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    checker.needs_whole = true;
    let subject = arguments.tagged_text(checker, "subject", None);
    let headers = arguments.tagged_texts(checker, "headers", None);
    let text = arguments.text(checker, "a text");
    arguments.end(checker)?;
    let headers = headers.unwrap_or_default();
    for (place, name) in &headers {
        let Some(name) = name.constant() else { continue };
        check_name(checker, *place, name)?;
        if is_structural(name) {
            checker.warn(
                *place,
                format!("the field \"{name}\" is not copied: it belongs to the message's own form"),
            );
        }
    }
    Some(Box::new(Enclose {
        subject: subject.map(|(_, text)| text),
        headers: headers.into_iter().map(|(_, text)| text).collect(),
        text: text?,
    }))
}

#[derive(Debug)]
struct Enclose {
    subject: Option<Text>,
    headers: Vec<Text>,
    text: Text,
}

impl Execute for Enclose {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let base = run.subject.base().clone();
        run.work(usize::try_from(base.size()).unwrap_or(usize::MAX), 2)?;
        let line_end = base.line_end();
        let inner = run.subject.message()?;
        let boundary = format!("=_{}", hexadecimal(&inner.digest()));
        let transfer = transfer_of(&inner).map_err(unreadable)?;
        let transfer = match transfer {
            "7bit" => String::new(),
            word => format!("Content-Transfer-Encoding: {word}{line_end}"),
        };
        let mut head = self.fields(run, &inner)?;
        let text = text_entity(&self.text.value(run)?, line_end);
        head.push_str(&format!(
            "MIME-Version: 1.0{line_end}Content-Type: multipart/mixed;{line_end} boundary=\"{boundary}\"{line_end}\
             {transfer}{line_end}--{boundary}{line_end}{}{line_end}",
            text.fields
        ));
        let mut head = head.into_bytes();
        head.extend_from_slice(&text.body);
        let between =
            format!("{line_end}--{boundary}{line_end}Content-Type: message/rfc822{line_end}{transfer}{line_end}");
        head.extend_from_slice(between.as_bytes());
        let end = format!("{line_end}--{boundary}--{line_end}");
        let pieces = vec![
            Piece::Text(head),
            Piece::Own(0..inner.size()),
            Piece::Text(end.into_bytes()),
        ];
        let message = inner.composed(pieces).map_err(unreadable)?;
        run.enclose(message, BEFORE_ENCLOSED)?;
        Ok(Flow::Next)
    }
}

impl Enclose {
    // RFC 5703 §6: fields of the enclosed message, where they are asked for; Subject, Date and From in any case.
    fn fields(&self, run: &mut Run<'_>, inner: &Message) -> Result<String, Stop> {
        let line_end = inner.line_end();
        let header = inner.header();
        let mut copied = String::new();
        let mut names: Vec<String> = Vec::new();
        for name in &self.headers {
            let name = name.value(run)?.to_ascii_lowercase();
            let own_subject = self.subject.is_some() && name == "subject";
            if is_field_name(&name) && !is_structural(&name) && !own_subject && !names.contains(&name) {
                copy(header, &name, &mut copied, line_end);
                names.push(name);
            }
        }
        let has = |name: &str| names.iter().any(|known| known == name) && header.first(name).is_some();
        let mut fields = String::new();
        if !has("date") {
            fields.push_str(&format!("Date: {}{line_end}", date()));
        }
        if !has("from") {
            let incoming = run.incoming();
            let owner = incoming.own_addresses.first().unwrap_or(incoming.recipient);
            let owner = Mailbox {
                name: None,
                address: Some(owner.to_string()),
            };
            fields.push_str(&encoded_mailboxes("From", &[owner], line_end));
        }
        match &self.subject {
            Some(subject) => fields.push_str(&encoded_field("Subject", &subject.value(run)?, line_end)),
            None if !has("subject") => copy(header, "subject", &mut fields, line_end),
            None => {}
        }
        if !has("message-id") {
            // The same message enclosed again has the same.
            let id = hexadecimal(&inner.digest()[..16]);
            fields.push_str(&format!("Message-ID: <{id}@{}>{line_end}", run.incoming().hostname));
        }
        Ok(copied + &fields)
    }
}

// As they are written; what is not UTF-8 in them becomes a sign for it.
fn copy(header: &Header, name: &str, to: &mut String, line_end: &str) {
    for field in header.all(name).filter(|field| field.raw().len() <= FIELD_MAX) {
        to.push_str(&String::from_utf8_lossy(field.raw()));
        if !to.ends_with('\n') {
            to.push_str(line_end);
        }
    }
}

// RFC 5322 §3.3. A clock outside of the years that it can write gives the first of 1970.
fn date() -> String {
    jiff::fmt::rfc2822::to_string(&jiff::Zoned::now()).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// RFC 2046 §5.2.1: a message within a message is 7bit, 8bit or binary.
fn transfer_of(message: &Message) -> std::io::Result<&'static str> {
    let mut buffer = vec![0; 64 * 1024];
    let mut reader = message.reader();
    let (mut eight, mut length, mut last) = (false, 0usize, 0u8);
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(if eight { "8bit" } else { "7bit" });
        }
        for byte in &buffer[..count] {
            length = if *byte == b'\n' { 0 } else { length + 1 };
            eight |= !byte.is_ascii();
            // RFC 2045 §2.7, §2.8: no NUL, no CR but before LF, no line of more than 998 octets.
            if *byte == 0 || length > 999 || last == b'\r' && *byte != b'\n' {
                return Ok("binary");
            }
            last = *byte;
        }
    }
}
