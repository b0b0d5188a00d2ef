//! The whole way: text to settings to text, and what people are told.

use std::path::Path;

use proptest::prelude::*;

use super::sections::SECTIONS;
use super::*;

const MINIMAL: &str = "hostname = \"mx.example.org\"\n[directory]\ndomains = [\"example.org\"]\n";

fn parse(text: &str) -> Config {
    Config::parse(text, "/etc/postroom/postroom.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn faults(text: &str) -> (Vec<Fault>, String) {
    match Config::parse(text, "/etc/postroom/postroom.toml") {
        Err(ConfigError::Invalid { faults, shown }) => (faults, shown),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn embedded_defaults() {
    let config = Config::embedded();
    assert_eq!(config.root, Path::new("./postroom-data"));
    assert_eq!(config.listen.len(), 1);
    assert_eq!(
        config.listen[0].address,
        ListenAddress::Tcp(([127, 0, 0, 1], 2424).into())
    );
    assert_eq!(config.listen[0].protocol, ListenProtocol::Lmtp);
    assert_eq!(config.directory.domains, ["localhost", "example.org"]);
    assert_eq!(config.limits.message_size, 50 << 20);
    assert_eq!(config.submission.relay, Relay::None);
    assert!(!config.hostname.is_empty());
}

#[test]
fn the_example_file_is_the_one_in_packaging() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/postroom.toml");
    if std::env::var_os("POSTROOM_WRITE_EXAMPLE").is_some() {
        std::fs::write(&file, example()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        example(),
        "run the tests with POSTROOM_WRITE_EXAMPLE=1 to write it again"
    );
}

#[test]
fn the_page_of_reference_is_the_one_in_docs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    if std::env::var_os("POSTROOM_WRITE_EXAMPLE").is_some() {
        std::fs::write(&file, reference()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        reference(),
        "run the tests with POSTROOM_WRITE_EXAMPLE=1 to write it again"
    );
}

#[test]
fn the_example_says_what_the_design_says() {
    let config = parse(&example());
    assert_eq!(config.hostname, "mx.example.org");
    assert_eq!(config.root, Path::new("/var/vmail"));
    assert_eq!(config.user.as_deref(), Some("vmail"));
    assert_eq!(
        config.listen[0].address,
        ListenAddress::Unix("/run/postroom/lmtp".into())
    );
    assert_eq!(config.listen[0].mode, 0o660);
    assert_eq!(config.sieve.before, [Path::new("/etc/postroom/filters/before")]);
    assert_eq!(config.submission.notices_from.to_string(), "postmaster@mx.example.org");
    assert!(config.store.fsync);
}

#[test]
fn every_commented_setting_of_the_example_is_valid() {
    let example = example();
    let lines: Vec<&str> = example.lines().collect();
    let is_setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
    let commented = (0..lines.len()).filter(|at| is_setting(lines[*at]));
    let mut count = 0;
    for at in commented {
        let mut lines = lines.clone();
        lines[at] = &lines[at][1..];
        // What excludes another setting takes its place.
        match lines[at].split(' ').next() {
            Some("sendmail") => lines.retain(|line| !line.starts_with("server")),
            Some("file") => lines.iter_mut().for_each(|line| {
                if line.starts_with("kind") {
                    *line = "kind = \"table\"";
                }
            }),
            Some("certificate" | "key") => lines.iter_mut().for_each(|line| {
                if line.starts_with("#certificate =") || line.starts_with("#key =") {
                    *line = &line[1..];
                }
            }),
            // With it the end of the scale must be known.
            Some("header") if lines[at].contains("X-") => {
                let end = if lines[at].contains("Virus") {
                    "#values = "
                } else {
                    "#max = "
                };
                let next = lines[at..].iter_mut().find(|line| line.starts_with(end));
                let next = next.expect("the end of the scale");
                *next = &next[1..];
            }
            _ => {}
        }
        parse(&lines.join("\n"));
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn what_is_shown_is_read_back_to_the_same() {
    for text in [
        MINIMAL.to_owned(),
        example(),
        "[[listen]]\nprotocol = \"smtp\"\naddress = \"[::1]:25\"\n[[listen]]\nprotocol = \"lmtp\"\n\
         address = \"unix:run/lmtp\"\nowner = \"a\"\ngroup = \"b\"\n[directory]\nkind = \"table\"\nfile = \"users\"\n\
         format = \"passwd\"\nquota = \"1 GiB\"\nquota_messages = 7\npostmaster = \"\\\"a b\\\"@example.org\"\n\
         [submission]\nsendmail = \"/usr/sbin/send mail\\\"\"\n[limits]\nidle_timeout = 90\n[log]\nformat = \"json\"\n\
         level = \"debug\"\n[quota]\nmaildirsize = true\n[[quota.mailbox]]\nname = \"Trash\"\nextra = \"-1 MiB\"\n\
         extra_messages = 5\n[[quota.mailbox]]\nname = \"Junk/*\"\nignore = true\n[[quota.warning]]\nat = \"80%\"\n\
         [[quota.warning]]\nat = \"95%\"\nof = \"messages\"\nbelow = true\nmessage = false\n\
         command = [\"/x\", \"{user}\"]\n[[expire]]\nmailbox = \"Trash\"\nafter = \"4 weeks\"\n[[expire]]\n\
         mailbox = \"Lists/*\"\nafter = \"36 h\"\n[store]\nspool = \"/tmp\"\nindex_root = \"/x\"\nseparator = \"/\"\nmaildir = \".\"\n"
            .to_owned(),
        "[directory]\nkind = \"passwd\"\nminimum_uid = 500\n[submission]\nserver = \"mx.example.org:587\"\n\
         tls = \"verify\"\nca_file = \"ca.pem\"\nnotices_from = \"a@example.org\"\n[sieve]\nenabled = false\n\
         max_script_size = \"64 KiB\"\nmax_scripts = 3\nquota = \"1 MiB\"\n[[sieve.domain]]\nname = \"example.org\"\n\
         [[sieve.domain]]\nname = \"b.example\"\nbefore = [\"/b\"]\nafter = [\"/c\"]\ndefault = \"/d\"\n"
            .to_owned(),
        "[directory]\ndomains = [\"a.example\"]\n[sieve.spam]\nheader = 'X-S: \\[(\\d+) /'\nmax = 6.50\n\
         [sieve.virus]\nheader = \"X-V\"\nvalues = [\"1 = No \\\"virus\\\"\", \"5=Yes\"]\n"
            .to_owned(),
        "[directory]\ndomains = [\"a.example\"]\nusers = [\"ann\", \"bob@a.example\"]\ndelimiters = \"+-\"\npasswords = \"p\"\n\
         [[listen]]\nprotocol = \"managesieve\"\naddress = \"[::]:4190\"\n[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n\
         [managesieve]\nplaintext = \"never\"\nconnections = 7\nidle_timeout = \"1 h\"\n"
            .to_owned(),
    ] {
        let config = parse(&text);
        assert_eq!(parse(&config.to_toml()), config, "{}", config.to_toml());
    }
    let embedded = Config::embedded();
    assert_eq!(Config::parse(&embedded.to_toml(), "embedded").unwrap(), embedded);
}

#[test]
fn settings_that_are_left_out_are_shown_with_their_defaults() {
    let shown = parse(MINIMAL).to_toml();
    let shown: toml::Table = toml::from_str(&shown).unwrap();
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        let levels = section.name.split('.').filter(|level| !level.is_empty());
        let values = levels.fold(&shown, |table, level| table[level].as_table().unwrap());
        for setting in section.settings {
            if let Some(default) = setting.default.filter(|_| setting.key != "domains") {
                let default: toml::Table = toml::from_str(&format!("x = {default}")).unwrap();
                let expected = match &default["x"] {
                    // Sizes and times are shown in the largest unit.
                    toml::Value::String(text) if text == "60 s" => "1 min".into(),
                    value => value.clone(),
                };
                assert_eq!(values.get(setting.key), Some(&expected), "{}", setting.key);
            }
        }
    }
}

#[test]
fn every_setting_is_in_the_reference_with_an_example_or_a_default() {
    let reference = reference();
    for section in SECTIONS {
        for setting in section.settings {
            assert!(reference.contains(setting.key), "{}", setting.key);
            let shown = setting.default.or(setting.set).or(setting.shown);
            assert!(shown.is_some(), "{} has neither default nor example", setting.key);
            assert!(setting.about.iter().all(|line| !line.contains('|')));
        }
    }
}

#[test]
fn relative_paths_count_from_the_file() {
    let config = parse("root = \"mail\"\n[directory]\ndomains = [\"example.org\"]\n[sieve]\nbefore = [\"before\"]\n");
    assert_eq!(config.root, Path::new("/etc/postroom/mail"));
    assert_eq!(config.sieve.before, [Path::new("/etc/postroom/before")]);
}

#[test]
fn an_unknown_key_names_line_place_and_the_nearest() {
    let (faults, shown) = faults(&MINIMAL.replace("hostname", "hostnam"));
    assert_eq!(faults[0].line, 1);
    for part in [
        "postroom.toml:1:1",
        "hostnam = \"mx.example.org\"",
        "^^^^^^^",
        "there is no setting `hostnam`",
        "did you mean `hostname`?",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn faults_name_their_line_and_the_remedy() {
    for (more, line, part) in [
        ("[limits]\nmesage_size = 1\n", 5, "did you mean `message_size`"),
        ("[store]\nmessage_size = 1\n", 5, "belongs in [limits]"),
        ("[limit]\n", 4, "did you mean `limits`"),
        ("[limits]\nxyzzyx = 1\n", 5, "known here are"),
        ("[limits]\nmessage_size = \"50 M\"\n", 5, "such as \"50 MiB\""),
        ("[limits]\nidle_timeout = \"5 m\"\n", 5, "\"5 min\""),
        ("[limits]\nrecipients = 0\n", 5, "at least 1"),
        ("[limits]\nrecipients = \"many\"\n", 5, "a whole number"),
        ("[store]\nfsync = \"no\"\n", 5, "true or false"),
        ("[store]\nseparator = \"~\"\n", 5, "\".\" or \"/\""),
        ("[store]\nmaildir = \"../x\"\n", 5, "below the home"),
        ("[store]\nfile_mode = \"0400\"\n", 5, "\"0600\""),
        ("[store]\nfile_mode = 600\n", 5, "octal"),
        ("[delivery]\nover_quota = \"bounce\"\n", 5, "\"refuse\" or \"defer\""),
        (
            "[[listen]]\nprotocol = \"lmtp\"\n",
            4,
            "`address` is missing in [[listen]]",
        ),
        ("[listen]\nprotocol = \"lmtp\"\n", 4, "[[listen]]"),
        (
            "[[listen]]\nprotocol = \"lmtp\"\naddress = \"0.0.0.0:25\"\n",
            6,
            "RFC 2033 §5",
        ),
        (
            "[[listen]]\nprotocol = \"lmtp\"\naddress = \"[::]:24\"\nowner = \"x\"\n",
            7,
            "Unix sockets alone",
        ),
        (
            "[submission]\nserver = \"127.0.0.1:25\"\nsendmail = \"/usr/sbin/sendmail\"\n",
            6,
            "cannot both be set",
        ),
        ("[sieve]\nbefore = \"x\"\n", 5, "a list in brackets"),
        ("[sieve.spam]\nheader = \"X-A: b\"\n", 5, "one group"),
        ("[sieve.spam]\nheader = \"X-A\"\n", 5, "either `max` or `max_header`"),
        (
            "[sieve.spam]\nheader = \"X-A\"\nmax = 1\nmax_header = \"X-B\"\n",
            5,
            "either `max` or `max_header`",
        ),
        (
            "[sieve.spam]\nheader = \"X-A\"\nmax = 1\nvalues = [\"1 = a\"]\n",
            7,
            "\"text\" alone",
        ),
        (
            "[sieve.spam]\nkind = \"text\"\nheader = \"X-A\"\n",
            6,
            "words must be known",
        ),
        (
            "[sieve.virus]\nheader = \"X-A\"\nvalues = [\"6 = a\"]\n",
            6,
            "at most 5",
        ),
        ("[sieve]\nbefore = [\n  \"x\",\n  1,\n]\n", 7, "a path"),
        ("[sieve]\nmax_scripts = 0\n", 5, "at least 1"),
        (
            "[[sieve.domain]]\nbefore = [\"x\"]\n",
            4,
            "`name` is missing in [[sieve.domain]]",
        ),
        ("[[sieve.domain]]\nname = \"a b\"\n", 5, "a domain"),
        (
            "[[sieve.domain]]\nname = \"a.example\"\n[[sieve.domain]]\nname = \"A.Example\"\n",
            7,
            "has a section already",
        ),
        ("[log]\nlevel = \"loud\"\n", 5, "\"info\""),
        ("[log]\nlevel = \n", 5, "not TOML"),
        ("[directory]\n", 4, "not TOML"),
        ("user = \"x\"\n", 4, "belongs in the top of the file"),
        ("users = [\"ann@example.com\"]\n", 4, "`domains`"),
        ("users = [\"../ann\"]\n", 4, "folder"),
        ("file = \"/x\"\n", 4, "kind = \"table\""),
        ("delimiters = \"ab\"\n", 4, "between user and detail"),
        ("postmaster = \"a b@example.org\"\n", 4, "not allowed"),
        ("postmaster = \"ann\"\n", 4, "an address"),
        ("postmaster = \"ann@example.com\"\n", 4, "is no user of this directory"),
        ("[quota]\nmaildirsise = true\n", 5, "did you mean `maildirsize`"),
        ("[quota]\nmailboxes = true\n", 5, "did you mean `mailbox`"),
        ("[[quota.mailbox]]\nname = \"Trash\"\n", 5, "says nothing"),
        ("[[quota.mailbox]]\nname = \"*\"\nignore = true\n", 5, "all mailboxes"),
        ("[[quota.mailbox]]\nname = \"T\"\nextra = \"ten\"\n", 6, "\"10%\""),
        (
            "[[quota.mailbox]]\nname = \"T\"\nextra = 1\nignore = true\n",
            7,
            "no extra",
        ),
        ("[quota.mailbox]\nname = \"T\"\n", 4, "[[quota.mailbox]]"),
        ("[[quota.warning]]\nat = 80\n", 5, "\"80%\""),
        ("[[quota.warning]]\nat = \"80%\"\nmessage = false\n", 6, "does nothing"),
        ("[[quota.warning]]\nat = \"80%\"\ncommand = [\"x\"]\n", 6, "whole path"),
        ("[quota]\nat = \"80%\"\n", 5, "belongs in [[quota.warning]]"),
        (
            "[[expire]]\nmailbox = \"Trash\"\n",
            4,
            "`after` is missing in [[expire]]",
        ),
        ("[[expire]]\nmailbox = \"Trash\"\nafter = 30\n", 6, "\"30 days\""),
        ("[[expire]]\nmailbox = \"*\"\nafter = \"1 day\"\n", 5, "all mailboxes"),
        (
            "[[expire]]\nmailbox = \"T\"\nafter = \"1 day\"\n[[expire]]\nmailbox = \"T\"\nafter = \"2 days\"\n",
            8,
            "has a rule already",
        ),
        ("kind = \"table\"\n", 4, "needs its file"),
        ("kind = \"ldap\"\n", 4, "\"static\", \"table\" or \"passwd\""),
    ] {
        let (faults, shown) = faults(&format!("{MINIMAL}{more}"));
        assert_eq!(faults[0].line, line, "{more}\n{shown}");
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(faults("").1.contains("there are no domains"));
}

#[test]
fn all_faults_are_told_in_one_pass() {
    let text = "hostname = 1\nrot = 2\n[limits]\nhops = -1\nmessage_size = \"x\"\n[directory]\ndomains = [\"a b\"]\n";
    let (faults, shown) = faults(text);
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 7], "{shown}");
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postroom.toml");
    assert!(matches!(Config::load(&file), Err(ConfigError::Unreadable { .. })));
    assert!(Config::find(Some(&file)).is_err(), "a file that was named must exist");
    std::fs::write(&file, format!("root = \"mail\"\n{MINIMAL}")).unwrap();
    let (config, source) = Config::find_with_source(Some(&file)).unwrap();
    assert_eq!(config.root, folder.path().join("mail"));
    assert_eq!(source, Some(file));
}

#[test]
fn warns_of_what_is_hardly_meant() {
    let text = "[directory]\ndomains = [\"example.org\"]\n[store]\nfsync = false\n[sieve]\nbefore = [\"/no/such\"]\n\
                [[sieve.domain]]\nname = \"example.com\"\ndefault = \"/none.sieve\"\n[sieve.spam]\nmax = 15\n";
    let warnings = parse(text).warnings();
    for part in [
        "[[listen]]",
        "fsync",
        "redirects are deferred",
        "/no/such does not exist",
        "[[sieve.domain]] /none.sieve does not exist",
        "[[sieve.domain]] example.com is no domain of [directory]",
        "[sieve.spam] says nothing",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{warnings:?}");
    }
    assert_eq!(Config::embedded().warnings().len(), 1, "no submission");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,300}") {
        let _ = Config::parse(&text, "x.toml");
    }

    #[test]
    fn bits_of_toml_are_read_or_refused(
        text in "([\\[\\]{}=\"'.,#\\\\\r\n\tä0-9xo+-]|listen|limits|directory|users|message_size|unix:|MiB|domains){0,80}"
    ) {
        let _ = Config::parse(&text, "x.toml");
    }

    #[test]
    fn a_spoiled_example_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, "[\\PC\r\n\t]{0,4}"), 1..6)
    ) {
        // Without most comments, so that what is spoiled is what counts.
        let mut text: Vec<char> = example().replace("\n#", "\n").chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        let _ = Config::parse(&text, "x.toml");
        let text = text.lines().filter(|line| line.contains('=') || line.starts_with('[')).collect::<Vec<_>>();
        let _ = Config::parse(&text.join("\n"), "x.toml");
    }
}
