//! The man pages: written from the command line and the settings as they are, and compared with those in packaging/man.

use std::fs;
use std::path::Path;

use clap_mangen::Man;

/// What the command line does not say of itself.
const MORE: &str = r#".SH "EXIT STATUS"
Those of \fBsysexits\fR(3):
.TP
\fB0\fR
done
.TP
\fB64\fR
wrong usage
.TP
\fB65\fR
bad data: no such mailbox or message, a mailbox that exists already, a script with an error, an index that does not agree with its Maildir
.TP
\fB67\fR
no such user
.TP
\fB75\fR
try again later
.TP
\fB77\fR
permission refused; for \fBsend\fR, a recipient was refused
.TP
\fB78\fR
the configuration is wrong
.PP
\fBdeliver\fR knows only 0, 67, 75 and 77: its own faults, wrong usage and configuration included, are 75, so that a
typo never bounces mail. The first line of its standard output is the enhanced status code (RFC 3463) and words.
.SH "COMMANDS THAT DESTROY"
\fBmailbox delete\fR, \fBmessage expunge\fR, \fBexpire\fR and \fBsieve apply\fR do nothing without
\fB\-\-execute\fR: they show what would go, and where to.
.SH SEARCHES
Written in the keys of IMAP's SEARCH (RFC 9051, section 6.4.4), whose case does not matter: \fBfrom ann\fR,
\fBsubject "two words"\fR, \fBtext\fR, \fBbody\fR, \fBsince 2026\-11\-01\fR, \fBbefore\fR, \fBsentsince\fR, \fBsavedbefore\fR,
\fBolder\fR (seconds), \fBseen\fR, \fBflagged\fR, \fBkeyword $Junk\fR, \fBlarger 1000000\fR, \fBuid 1:50\fR, \fBmodseq 7\fR,
\fBemailid\fR, \fBthreadid\fR, \fBnot seen\fR, \fBor from ann from bob\fR, and parentheses. Several keys must all be met.
.SH FILES
.TP
\fI/etc/postroom/postroom.toml\fR
the configuration; without it, \fBserve\fR listens with LMTP on 127.0.0.1:2424 and keeps mail below ./postroom-data
.TP
\fI{root}/{domain}/{local part}/\fR
the home of an account: \fIMaildir/\fR with the mail, \fIindex.sqlite\fR, the scripts in \fIsieve/\fR, and
\fI.dovecot.sieve\fR, a symbolic link to the active one
.SH EXAMPLES
Try a server without any configuration:
.PP
.nf
postroom serve
.fi
.PP
and from another terminal in the same folder:
.PP
.nf
printf 'Subject: hello\en\enFirst message.\en' | postroom send \-\-to you@example.org \-
postroom message list you@example.org INBOX
postroom message show you@example.org INBOX 1
.fi
.PP
Move what is old and was read; then see what would go from Trash, and remove it:
.PP
.nf
postroom message move ann@example.org INBOX Archive \-\-search 'seen before 2026\-01\-01' \-\-create
postroom expire ann@example.org Trash \-\-saved\-before 30d
postroom expire ann@example.org Trash \-\-saved\-before 30d \-\-execute
.fi
.SH "SEE ALSO"
\fBpostroom.toml\fR(5), \fBsystemd\fR(1)
"#;

fn compare(name: &str, page: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man").join(name);
    if std::env::var_os("POSTROOM_WRITE_MAN").is_some() {
        fs::create_dir_all(file.parent().expect("packaging/man")).expect("a folder");
        fs::write(&file, page).expect("written");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "packaging/man/{name} is not what the program says: POSTROOM_WRITE_MAN=1 cargo test --test man"
    );
}

#[test]
fn the_page_of_the_program() {
    let mut command = postroom::cli::command().disable_help_subcommand(true);
    command.build();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let version = command.get_version().unwrap_or_default();
    let mut page = format!(
        ".TH postroom 1 \"\" \"postroom {version}\"\n\
         .SH NAME\npostroom \\- mail delivery agent and mailbox store\n\
         .SH SYNOPSIS\n\\fBpostroom\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR ...\n\
         .SH DESCRIPTION\n{}.\n.SH OPTIONS\n{}.SH COMMANDS\n",
        roff(&about),
        arguments(command.clone())
    );
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut page, command);
    }
    page.push_str(MORE);
    compare("postroom.1", &page);
}

/// A command with all its arguments, or the commands below it.
fn section(page: &mut String, command: &clap::Command) {
    if command.has_subcommands() {
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            section(page, command);
        }
        return;
    }
    let mut command = command.clone().mut_args(|argument| match argument.get_id().as_str() {
        "config" | "help" => argument.hide(true),
        _ => argument,
    });
    let usage = command.render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace(" [OPTIONS]", "")
        .replace('-', "\\-");
    page.push_str(&format!(".SS \"{usage}\"\n"));
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string);
    page.push_str(&format!("{}.\n", roff(&about.unwrap_or_default())));
    page.push_str(&arguments(command));
}

/// Options and arguments, as clap_mangen writes them, without its heading.
fn arguments(command: clap::Command) -> String {
    let mut written = Vec::new();
    Man::new(command)
        .render_options_section(&mut written)
        .expect("a section in memory");
    let written = String::from_utf8(written).expect("UTF-8");
    written
        .split_once(".SH OPTIONS\n")
        .map_or_else(String::new, |(_, options)| options.to_owned())
}

#[test]
fn the_page_of_the_settings() {
    let reference = postroom::config::reference();
    let mut page = String::from(
        ".TH postroom.toml 5\n.SH NAME\npostroom.toml \\- the configuration of \\fBpostroom\\fR(1)\n.SH DESCRIPTION\n",
    );
    // A block ends at an empty line; the first is the title, which stands above already.
    for block in reference.split("\n\n").skip(1) {
        let block = block.trim_end();
        if let Some(heading) = block.strip_prefix("## ") {
            page.push_str(&format!(".SH \"{}\"\n", heading.replace('`', "")));
        } else if let Some(heading) = block.strip_prefix("### ") {
            page.push_str(&format!(".SS \"{}\"\n", heading.replace('`', "")));
        } else if block.starts_with("- ") {
            let points = block.lines().map(|point| roff(point.trim_start_matches("- ")));
            page.extend(points.map(|point| format!(".br\n{point}\n")));
        } else {
            page.push_str(&format!(".PP\n{}\n", roff(block)));
        }
    }
    page.push_str(".SH \"SEE ALSO\"\n\\fBpostroom\\fR(1)\n");
    compare("postroom.toml.5", &page);
}

/// Text for troff: its own signs escaped, what stands in backquotes bold.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let mut written = String::new();
    for (at, part) in escaped.split('`').enumerate() {
        match at % 2 {
            0 => written.push_str(part),
            _ => written.push_str(&format!("\\fB{part}\\fR")),
        }
    }
    // A line that begins with a dot or an apostrophe would be a request.
    match written.starts_with(['.', '\'']) {
        true => format!("\\&{written}"),
        false => written,
    }
}
