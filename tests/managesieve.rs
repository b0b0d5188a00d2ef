//! ManageSieve: users come to their scripts from afar, with Debian's sieve-connect and with bytes of our own.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::managesieve::{Certificate, Client};
use support::peers;
use support::place::{Place, free_address, is_root, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "From: bob@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";
const FILING: &str = "require [\"fileinto\", \"mailbox\"];\r\nfileinto :create \"Lists\";\r\n";
/// `ann@example.org` with the password `secret`, and with another.
const SECRET: &str = "AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=";
const WRONG: &str = "AGFubkBleGFtcGxlLm9yZwB3cm9uZw==";

struct Site {
    place: Place,
    postroom: Postroom,
    address: SocketAddr,
    certificate: Option<Certificate>,
}

impl Site {
    /// A site with a door for scripts, where ann has a password; `sieve` stands in [sieve], `more` behind all.
    fn serving(tls: bool, sieve: &str, more: &str) -> Site {
        let (place, address) = (Place::new(), free_address());
        let certificate = tls.then(|| Certificate::make(&place));
        let mut sections = format!("{sieve}\n[[listen]]\nprotocol = \"managesieve\"\naddress = \"{address}\"\n");
        if let Some(Certificate { certificate, key, .. }) = &certificate {
            sections += &format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
        }
        let table = place.file("users.toml", "[\"ann@example.org\"]\n[\"bob@example.org\"]\n");
        let wishes = Wishes {
            table: Some(&table),
            more: &format!("{sections}{more}"),
            ..Wishes::default()
        };
        let mut postroom = Postroom::configured(&place, &wishes);
        let hash = postroom.run_with_input(&["password", "hash"], b"secret\n").stdout;
        let hash = String::from_utf8(hash).expect("UTF-8");
        let users = format!(
            "[\"ann@example.org\"]\npassword = {:?}\n[\"bob@example.org\"]\n",
            hash.trim()
        );
        fs::write(&table, users).expect("the table");
        postroom.serve();
        Site {
            place,
            postroom,
            address,
            certificate,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address).expect("a session").0
    }

    fn ann(&self) -> Client {
        let mut client = self.client();
        let response = client.log_in(SECRET);
        assert!(response.starts_with("OK"), "{response}");
        client
    }

    fn authority(&self) -> &Path {
        &self.certificate.as_ref().expect("a certificate").authority
    }

    /// sieve-connect with ann's name, and a password.
    fn sieve_connect(&self, password: &str, arguments: &[&str]) -> Output {
        use std::io::Write;
        let mut command = Command::new("sieve-connect");
        command
            .args([
                "--4",
                "--nosrv",
                "--server",
                "localhost",
                "--port",
                &self.address.port().to_string(),
            ])
            .args(["--user", ANN, "--passwordfd", "0", "--noclearchan", "--tlscafile"])
            .arg(self.authority())
            .args(arguments)
            .current_dir(self.place.folder("client"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("sieve-connect");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(format!("{password}\n").as_bytes()).expect("written");
        drop(input);
        child.wait_with_output().expect("it ends")
    }

    #[track_caller]
    fn sieve_connect_does(&self, arguments: &[&str]) -> String {
        let output = self.sieve_connect("secret", arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    #[track_caller]
    fn deliver(&self) {
        let replies = self.postroom.send("bob@example.net", &[ANN], MESSAGE);
        assert_eq!(replies[0].code, 250, "{replies:?}");
    }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[track_caller]
fn begins(response: &str, beginning: &str) {
    assert!(response.starts_with(beginning), "expected {beginning:?}: {response}");
}

#[test]
fn sieve_connect_manages_scripts() {
    if !peers::present(&["sieve-connect", "openssl"]) {
        return;
    }
    let site = Site::serving(true, "", "[managesieve]\nplaintext = \"never\"\n");
    site.place
        .file("client/broken", "keep;\nfileinto \"x\";\nfrobnicate;\n");
    site.place.file("client/filing", FILING.replace("\r\n", "\n"));

    let upload = |file: &str| site.sieve_connect("secret", &["--localsieve", file, "--remotesieve", file, "--upload"]);
    let broken = upload("broken");
    let told = said(&broken);
    assert!(!broken.status.success() || told.contains("line"), "{told}");
    assert!(told.contains("line 2") && told.contains("fileinto"), "{told}");
    assert_eq!(site.sieve_connect_does(&["--list"]).trim(), "");

    site.sieve_connect_does(&["--localsieve", "filing", "--remotesieve", "filing", "--upload"]);
    assert!(site.sieve_connect_does(&["--list"]).contains("\"filing\""));
    site.deliver();
    assert_eq!(site.postroom.count(ANN, "Lists"), 0, "it is not active yet");
    site.sieve_connect_does(&["--remotesieve", "filing", "--activate"]);
    assert!(site.sieve_connect_does(&["--list"]).contains("\"filing\" ACTIVE"));
    let message = MESSAGE.replace("<1@", "<2@");
    assert_eq!(site.postroom.send("bob@example.net", &[ANN], &message)[0].code, 250);
    assert_eq!(site.postroom.count(ANN, "Lists"), 1);
    assert_eq!(site.postroom.count(ANN, "INBOX"), 1);

    site.sieve_connect_does(&["--localsieve", "copy", "--remotesieve", "filing", "--download"]);
    let copy = fs::read_to_string(site.place.path("client/copy")).expect("the copy");
    assert_eq!(copy.replace("\r\n", "\n").trim(), FILING.replace("\r\n", "\n").trim());
    site.sieve_connect("secret", &["--remotesieve", "filing", "--delete"]);
    assert!(
        site.sieve_connect_does(&["--list"]).contains("\"filing\" ACTIVE"),
        "an active one is not deleted"
    );
    site.sieve_connect_does(&["--deactivate"]);
    site.sieve_connect_does(&["--remotesieve", "filing", "--delete"]);
    assert_eq!(site.sieve_connect_does(&["--list"]).trim(), "");

    let wrong = site.sieve_connect("wrong", &["--list"]);
    assert!(!wrong.status.success(), "{}", said(&wrong));
}

#[test]
fn a_user_has_a_filter_before_the_first_message() {
    let site = Site::serving(false, "", "");
    assert!(!site.postroom.home("ann").exists());
    let mut ann = site.ann();
    begins(&ann.command("LISTSCRIPTS"), "OK");
    begins(&ann.command("SETACTIVE \"none\""), "NO (NONEXISTENT)");
    begins(&ann.command("SETACTIVE \"\""), "OK");
    assert!(!site.postroom.home("ann").exists(), "looking makes nothing");
    begins(&ann.put("filing", FILING), "OK");
    begins(&ann.command("SETACTIVE \"filing\""), "OK");
    assert_eq!(ann.command("LISTSCRIPTS"), "\"filing\" ACTIVE\r\nOK \"Done\"\r\n");
    for (path, mode) in [("", 0o700), ("Maildir", 0o700), ("sieve/filing.sieve", 0o600)] {
        let metadata = fs::metadata(site.postroom.home("ann").join(path)).expect(path);
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
    }
    site.deliver();
    assert_eq!(site.postroom.count(ANN, "Lists"), 1);
    begins(&ann.command("RENAMESCRIPT \"filing\" \"new name\""), "OK");
    assert_eq!(ann.command("LISTSCRIPTS"), "\"new name\" ACTIVE\r\nOK \"Done\"\r\n");
    let got = ann.command("GETSCRIPT \"new name\"");
    assert_eq!(got, format!("{{{}}}\r\n{FILING}\r\nOK \"Done\"\r\n", FILING.len()));
    begins(&ann.command("DELETESCRIPT \"new name\""), "NO (ACTIVE)");
    begins(&ann.put("other", "keep;"), "OK");
    begins(
        &ann.command("RENAMESCRIPT \"other\" \"new name\""),
        "NO (ALREADYEXISTS)",
    );
    begins(&ann.command("SETACTIVE \"\""), "OK");
    begins(&ann.command("DELETESCRIPT \"new name\""), "OK");
    begins(&ann.command("GETSCRIPT \"new name\""), "NO (NONEXISTENT)");
    begins(&ann.command("LOGOUT"), "OK");
    assert!(ann.is_closed());
    let check = site.postroom.run(&["index", "check", ANN]);
    assert!(!String::from_utf8_lossy(&check).contains("error"));
}

#[test]
fn all_errors_are_told_with_their_lines() {
    let site = Site::serving(false, "", "");
    let mut ann = site.ann();
    for command in ["PUTSCRIPT \"x\"", "CHECKSCRIPT"] {
        let script = "keep;\r\nfileinto \"x\";\r\n";
        let told = ann.command(&format!("{command} {{{}+}}\r\n{script}", script.len()));
        begins(&told, "NO ");
        assert!(told.contains("line 2, column 1: "), "{told}");
    }
    begins(&ann.command("CHECKSCRIPT \"keep;\""), "OK");
    begins(&ann.command("CHECKSCRIPT {2+}\r\n\u{e9}"), "NO \"line 1, column 1");
    assert_eq!(ann.command("LISTSCRIPTS"), "OK \"Done\"\r\n");
    // One that came by another way is not made active either.
    fs::create_dir_all(site.postroom.home("ann").join("sieve")).expect("a folder");
    fs::write(site.postroom.home("ann").join("sieve/bad.sieve"), "frobnicate;").expect("a script");
    let told = ann.command("SETACTIVE \"bad\"");
    assert!(told.starts_with("NO") && told.contains("line 1"), "{told}");
    assert_eq!(ann.command("LISTSCRIPTS"), "\"bad\"\r\nOK \"Done\"\r\n");
}

#[test]
fn a_user_may_keep_no_more_than_the_limits_allow() {
    let site = Site::serving(
        false,
        "max_scripts = 2\nmax_script_size = \"200 B\"\nquota = \"250 B\"\n",
        "",
    );
    let mut ann = site.ann();
    let script = |size: usize| format!("#{}\r\n", "x".repeat(size - 3));
    begins(&ann.command("HAVESPACE \"a\" 200"), "OK");
    begins(&ann.command("HAVESPACE \"a\" 201"), "NO (QUOTA/MAXSIZE)");
    begins(
        &ann.command("HAVESPACE \"a\" 99999999999999999999"),
        "NO (QUOTA/MAXSIZE)",
    );
    begins(&ann.put("a", &script(201)), "NO (QUOTA/MAXSIZE)");
    begins(&ann.put("a", &script(100_000)), "NO (QUOTA/MAXSIZE)");
    begins(&ann.put("a", &script(200)), "OK");
    begins(&ann.put("b", &script(51)), "NO (QUOTA)");
    begins(&ann.put("b", &script(50)), "OK");
    begins(&ann.put("c", "keep;"), "NO (QUOTA/MAXSCRIPTS)");
    begins(&ann.put("a", &script(199)), "OK");
    begins(&ann.command("NOOP \"still here\""), "OK (TAG \"still here\")");
    begins(&ann.command("NOOP {999999999+}"), "BYE");
    assert!(ann.is_closed());
}

#[test]
fn passwords_wait_for_tls_and_bytes_before_it_count_for_nothing() {
    if !peers::present(&["openssl"]) {
        return;
    }
    let site = Site::serving(true, "", "[managesieve]\nplaintext = \"never\"\n");
    let (mut client, greeting) = Client::connect(site.address).expect("a session");
    assert!(
        greeting.contains("\"STARTTLS\"\r\n") && greeting.contains("\"SASL\" \"\"\r\n"),
        "{greeting}"
    );
    assert!(
        greeting.contains("\"SIEVE\" \"") && greeting.contains("fileinto"),
        "{greeting}"
    );
    begins(&client.log_in(SECRET), "NO (ENCRYPT-NEEDED)");
    // Whoever is between could have put NOOP there.
    client.send(b"STARTTLS\r\nNOOP \"injected\"\r\n");
    begins(&client.response().expect("a response"), "OK");
    let (mut client, capabilities) = client.tls(site.authority()).expect("TLS");
    assert!(capabilities.contains("\"SASL\" \"PLAIN\"\r\n"), "{capabilities}");
    assert!(!capabilities.contains("STARTTLS"), "{capabilities}");
    begins(&client.command("NOOP \"mine\""), "OK (TAG \"mine\")");
    begins(&client.log_in(SECRET), "OK");
    assert!(
        client
            .command("CAPABILITY")
            .contains("\"OWNER\" \"ann@example.org\"\r\n")
    );
    let large = "x".repeat(300_000);
    begins(&client.put("large", &format!("#{large}\r\n")), "OK");
    assert!(client.command("GETSCRIPT \"large\"").contains(&large));
}

#[test]
fn a_new_certificate_needs_no_restart() {
    if !peers::present(&["openssl"]) {
        return;
    }
    let mut site = Site::serving(true, "", "");
    let tls = |site: &Site| {
        let mut client = site.client();
        begins(&client.command("STARTTLS"), "OK");
        client.tls(site.authority()).map(|_| ())
    };
    tls(&site).expect("the first certificate");
    Certificate::make(&site.place);
    tls(&site).expect_err("the server still shows the first");
    site.postroom.running().signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the new certificate is shown", || tls(&site).is_ok());
    fs::write(&site.certificate.as_ref().expect("a certificate").key, "no key").expect("written");
    site.postroom.running().signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the log says so", || site.postroom.log().contains("no private key"));
    tls(&site).expect("the one before stays");
}

#[test]
fn wrong_passwords_are_logged_slow_and_few() {
    let site = Site::serving(false, "", "");
    let mut client = site.client();
    let begin = std::time::Instant::now();
    begins(&client.log_in(WRONG), "NO \"");
    // Nobody is told whether bob, who has no password, and eve, who is nobody, are users.
    begins(&client.log_in("AGJvYkBleGFtcGxlLm9yZwBzZWNyZXQ="), "NO \"");
    begins(&client.log_in("AGV2ZQoiQGV4YW1wbGUub3JnAHNlY3JldA=="), "NO \"");
    begins(&client.response().expect("a response"), "BYE");
    assert!(client.is_closed());
    assert!(begin.elapsed().as_secs() >= 3, "each waits a second at least");
    let log = site.postroom.log();
    for line in [
        "managesieve: login failed from 127.0.0.1: user \"ann@example.org\"",
        "managesieve: login failed from 127.0.0.1: user \"bob@example.org\"",
        "managesieve: login failed from 127.0.0.1: user \"eve?\\\"@example.org\"",
    ] {
        assert!(log.contains(line), "no {line:?} in {log}");
    }
    assert!(!log.contains("wrong") && !log.contains("secret"), "{log}");
    site.ann();
}

#[test]
fn a_stop_says_goodbye() {
    let mut site = Site::serving(false, "", "");
    let (mut ann, mut stranger) = (site.ann(), site.client());
    assert!(site.postroom.running().terminate().success());
    for client in [&mut ann, &mut stranger] {
        begins(&client.response().expect("a response"), "BYE (TRYLATER)");
        assert!(client.is_closed());
    }
}

#[test]
fn the_site_s_user_owns_what_is_uploaded() {
    if !is_root() {
        return;
    }
    // [directory] and [sieve] stand already; root becomes the user when it has read the key.
    let (place, address) = (Place::new(), free_address());
    let table = place.file("users", "ann@example.org:{PLAIN}secret\n");
    let wishes = Wishes {
        as_mail_user: true,
        table: Some(&table),
        more: &format!("[[listen]]\nprotocol = \"managesieve\"\naddress = \"{address}\"\n"),
        ..Wishes::default()
    };
    let _postroom = Postroom::serving(&place, &wishes);
    let mut ann = Client::connect(address).expect("a session").0;
    begins(&ann.log_in(SECRET), "OK");
    begins(&ann.put("x", "keep;"), "OK");
    use std::os::unix::fs::MetadataExt;
    let script = place.path("vmail/example.org/ann/sieve/x.sieve");
    assert_ne!(fs::metadata(script).expect("the script").uid(), 0);
}

#[test]
fn a_door_through_which_nobody_can_come_does_not_open() {
    let place = Place::new();
    for (directory, certificate, words) in [
        ("kind = \"static\"\ndomains = [\"example.org\"]", "", "passwords ="),
        (
            "kind = \"static\"\ndomains = [\"example.org\"]\npasswords = \"missing\"",
            "",
            "missing",
        ),
        (
            "kind = \"static\"\ndomains = [\"example.org\"]\npasswords = \"postroom.toml\"",
            "[tls]\ncertificate = \"missing.pem\"\nkey = \"missing.pem\"",
            "missing.pem",
        ),
        (
            "kind = \"static\"\ndomains = [\"example.org\"]\npasswords = \"postroom.toml\"",
            "[tls]\ncertificate = \"missing.pem\"",
            "needs its `key`",
        ),
        ("kind = \"passwd\"", "", "passwd"),
    ] {
        let address = free_address();
        let text = format!(
            "root = \"vmail\"\n[[listen]]\nprotocol = \"managesieve\"\naddress = \"{address}\"\n[directory]\n{directory}\n{certificate}\n"
        );
        let file = place.file("postroom.toml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        let output = command.args(["serve", "--config"]).arg(file).output().expect("it ends");
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
}
