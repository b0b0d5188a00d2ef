//! `kind = "passwd"` in `serve`: mail of system accounts, each delivered by a process of its own as its owner.
//!
//! The accounts are in a passwd(5) of the test's own, which only its processes see: each server runs in a mount namespace.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::child::{run, script};
use support::documents::snippet_with;
use support::lmtp::Reply;
use support::peers;
use support::place::{MAIL_USER, Place, wait_until};
use support::postroom::{Postroom, Wishes};
use support::processes::{children, command_line, is_gone, process, signal, status};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

/// User and group ids, far from any that a system gives out by itself.
const IDS: [(&str, u32); 5] = [
    ("ann", 61_001),
    ("bob", 61_002),
    ("eve", 61_003),
    ("dan", 61_004),
    ("low", 161),
];
/// A group in which ann is beside her own.
const STAFF: u32 = 61_100;

fn id(user: &str) -> u32 {
    IDS.iter()
        .find(|(name, _)| *name == user)
        .expect("a user of the test")
        .1
}

struct Site {
    place: Place,
    postroom: Postroom,
}

impl Site {
    fn new(more: &str) -> Site {
        let place = Place::new();
        let home = place.folder("home");
        let elsewhere = place.folder("elsewhere");
        let mut passwd = fs::read_to_string("/etc/passwd").expect("passwd");
        let mut group = fs::read_to_string("/etc/group").expect("group");
        for (name, id) in IDS {
            let lies = if name == "eve" { &elsewhere } else { &home };
            passwd += &format!("{name}:x:{id}:{id}:of a test:{}:/bin/sh\n", lies.join(name).display());
            group += &format!("{name}:x:{id}:\n");
            // Another place than passwd says.
            let folder = if name == "dan" {
                elsewhere.join(name)
            } else {
                lies.join(name)
            };
            fs::create_dir(&folder).expect("a home");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("permissions");
            chown(&folder, Some(id), Some(id)).expect("its owner");
        }
        symlink(elsewhere.join("dan"), home.join("dan")).expect("a link");
        group += &format!("staff-of-test:x:{STAFF}:ann\n");
        place.file("passwd", passwd);
        place.file("group", group);
        let more = format!("{more}\n[confinement]\nroots = [{home:?}]\n");
        let wishes = Wishes {
            as_mail_user: true,
            system: true,
            more: &more,
            ..Wishes::default()
        };
        let postroom = Postroom::configured(&place, &wishes);
        // Whatever a test does to the other one.
        fs::copy(&postroom.config, place.path("of-users.toml")).expect("a copy");
        Site { place, postroom }
    }

    fn serving(more: &str) -> Site {
        let mut site = Site::new(more);
        site.serve();
        site
    }

    fn serve(&mut self) {
        let command = self.command(self.postroom.command(&["serve"]));
        self.postroom.serve_by(command);
    }

    /// A command that sees the accounts.
    fn command(&self, then: Command) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$1\" /etc/passwd && mount --bind \"$2\" /etc/group && shift 2 && exec \"$@\"")
            .arg("sh")
            .args([self.place.path("passwd"), self.place.path("group")])
            .arg(then.get_program())
            .args(then.get_args());
        command
    }

    /// A command of postroom, run as a user.
    fn as_user(&self, user: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("setpriv");
        let id = id(user).to_string();
        command
            .args(["--reuid", &id, "--regid", &id, "--init-groups"])
            .arg(env!("CARGO_BIN_EXE_postroom"))
            .args(arguments)
            .arg("--config")
            .arg(self.place.path("of-users.toml"));
        String::from_utf8(run(&mut self.command(command))).expect("UTF-8")
    }

    fn send(&self, to: &str, message: &str) -> Reply {
        self.postroom.send("s@example.net", &[to], message).remove(0)
    }

    #[track_caller]
    fn delivers(&self, to: &str, message: &str) {
        let reply = self.send(to, message);
        assert_eq!(reply.code, 250, "{reply:?}\n{}", self.postroom.log());
    }

    fn home(&self, user: &str) -> PathBuf {
        self.place.path("home").join(user)
    }

    /// Puts a file into a home, as its owner would.
    fn give(&self, user: &str, name: &str, text: &str) {
        let path = self.home(user).join(name);
        fs::write(&path, text).expect("a file");
        chown(&path, Some(id(user)), Some(id(user))).expect("its owner");
    }

    /// The process of the monitor.
    fn monitor(&mut self) -> u32 {
        let server = self.postroom.running().id();
        let found = children(server)
            .into_iter()
            .find(|id| command_line(*id).contains("monitor"));
        found.unwrap_or_else(|| panic!("no monitor\n{}", self.postroom.log()))
    }

    /// The processes that deliver, with their user ids.
    fn agents(&mut self) -> Vec<(u32, String)> {
        let of_monitor = children(self.monitor()).into_iter();
        let agents = of_monitor.filter(|id| command_line(*id).contains("agent"));
        agents.map(|id| (id, status(&process(id), "Uid"))).collect()
    }

    fn agent(&mut self, user: &str) -> Option<u32> {
        let uid = id(user).to_string();
        let agents = self.agents();
        agents
            .into_iter()
            .find(|(_, uids)| uids.starts_with(&uid))
            .map(|(id, _)| id)
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    if folder.is_dir() && !folder.is_symlink() {
        for entry in fs::read_dir(folder).expect("a folder") {
            found.extend(files_below(&entry.expect("an entry").path()));
        }
    }
    found
}

#[test]
fn each_account_is_delivered_to_as_its_owner() {
    if !peers::root() {
        return;
    }
    // Apart from what an agent reaches: it is confined to a home.
    let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let (tell, sendmail) = (programs.path().join("tell"), programs.path().join("sendmail"));
    script(&tell, "cat >/dev/null; { id -ru; id -rg; id -G; pwd; } >\"$HOME/who\"");
    script(&sendmail, "cat >/dev/null; echo \"$(id -u) $4 $5\" >>\"$HOME/sent\"");
    let mut site = Site::new(&format!(
        "\n[sieve.programs]\nfolder = {:?}\n\n[submission]\nsendmail = {sendmail:?}\n",
        programs.path()
    ));
    site.give(
        "bob",
        ".dovecot.sieve",
        "require [\"vacation\", \"copy\"];\nredirect :copy \"out@example.net\";\nvacation \"I am away.\";\n",
    );
    site.give(
        "ann",
        ".dovecot.sieve",
        "require [\"fileinto\", \"mailbox\", \"subaddress\", \"envelope\", \"vnd.dovecot.pipe\", \"copy\"];\n\
         pipe :copy \"tell\";\n\
         if envelope :detail \"to\" \"lists\" { fileinto :create \"Lists\"; }\n",
    );
    site.serve();
    site.delivers("ann+lists@example.org", MESSAGE);
    site.delivers(BOB, &format!("To: {BOB}\r\n{MESSAGE}"));
    // A long message goes over as the file in which it lies.
    let long = format!("{MESSAGE}{}", "A line of a long message.\r\n".repeat(40_000));
    site.delivers(ANN, &long);

    let who = fs::read_to_string(site.home("ann").join("who")).expect("what the program saw");
    let home = site.home("ann");
    let expected = format!("61001\n61001\n61001 {STAFF}\n{}\n", home.display());
    assert_eq!(who, expected, "{}", site.postroom.log());
    // Redirects go before the answer, replies behind it; both are sent by the user.
    let sent = || fs::read_to_string(site.home("bob").join("sent")).unwrap_or_default();
    wait_until("bob's reply is sent", || sent().lines().count() == 2);
    assert_eq!(sent(), "61002 -- out@example.net\n61002 -- s@example.net\n");
    for user in ["ann", "bob"] {
        for path in files_below(&site.home(user)) {
            let file = fs::symlink_metadata(&path).expect("a file");
            assert_eq!((file.uid(), file.gid()), (id(user), id(user)), "{}", path.display());
        }
    }
    assert!(
        site.as_user("ann", &["message", "list", "ann", "Lists"])
            .contains("hello")
    );
    assert!(
        site.as_user("bob", &["message", "list", "bob", "INBOX"])
            .contains("hello")
    );
    let back = site.as_user("ann", &["message", "show", "ann", "INBOX", "1"]);
    assert!(back.ends_with(&long), "{} bytes came back", back.len());
    let log = site.postroom.log();
    assert!(log.contains("user=\"ann\" mailbox=\"Lists\" uid=\"1\""), "{log}");

    // The server is nobody to them, and each of them is one.
    let mail = nix::unistd::User::from_name(MAIL_USER)
        .expect("passwd")
        .expect("mail")
        .uid;
    let server = process(site.postroom.running().id());
    assert_eq!(status(&server, "Uid"), format!("{mail}\t{mail}\t{mail}\t{mail}"));
    assert_eq!(status(&process(site.monitor()), "Uid"), "0\t0\t0\t0");
    let mut agents: Vec<String> = site.agents().into_iter().map(|(_, uids)| uids).collect();
    agents.sort();
    let four = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    assert_eq!(agents, [four(61_001), four(61_002)]);
    if log.contains("confined by Landlock") {
        let agent = site.agent("ann").expect("ann's agent");
        assert_eq!(status(&process(agent), "NoNewPrivs"), "1");
        assert_eq!(status(&process(agent), "Seccomp"), "2");
    }
    let all: Vec<u32> = site.agents().into_iter().map(|(id, _)| id).collect();
    let monitor = site.monitor();
    assert!(site.postroom.running().terminate().success());
    wait_until("the others end", || {
        is_gone(monitor) && all.iter().all(|id| is_gone(*id))
    });
}

#[test]
fn as_the_page_has_it() {
    if !peers::root() {
        return;
    }
    let mut site = Site::new("");
    let home = site.place.path("home");
    let config = snippet_with(
        "system-accounts",
        &[
            ("\"postroom\"", &format!("{MAIL_USER:?}")),
            ("127.0.0.1:24", &site.postroom.lmtp.to_string()),
            ("/home", home.to_str().expect("UTF-8")),
        ],
    );
    fs::write(&site.postroom.config, &config).expect("written");
    fs::write(site.place.path("of-users.toml"), config).expect("written");
    site.serve();
    site.delivers(ANN, MESSAGE);
    assert!(
        site.as_user("ann", &["message", "list", "ann", "INBOX"])
            .contains("hello")
    );
}

#[test]
fn who_gets_no_mail() {
    if !peers::root() {
        return;
    }
    let site = Site::serving("");
    for (to, code, why) in [
        ("nobody-there@example.org", 550, ""),
        ("root@example.org", 550, ""),
        // Below `minimum_uid`.
        ("low@example.org", 550, ""),
        (
            "eve@example.org",
            451,
            "below none of [confinement] roots: name its folder there",
        ),
        // Her home is a link, which only the agent follows.
        ("dan@example.org", 451, "the process that delivers for an account ended"),
    ] {
        let reply = site.send(to, MESSAGE);
        assert_eq!(reply.code, code, "{to}: {reply:?}");
        assert!(site.postroom.log().contains(why), "{to}: {}", site.postroom.log());
    }
    assert!(
        site.postroom
            .log()
            .contains("which is below none of [confinement] roots")
    );
    let dan = fs::read_dir(site.place.path("elsewhere").join("dan")).expect("a folder");
    assert_eq!(dan.count(), 0);
}

#[test]
fn a_quota_is_told_at_rcpt() {
    if !peers::root() {
        return;
    }
    let site = Site::serving("\n[delivery]\nover_quota = \"refuse\"\n");
    let config = fs::read_to_string(&site.postroom.config).expect("the configuration");
    let config = config.replace("kind = \"passwd\"\n", "kind = \"passwd\"\nquota_messages = 1\n");
    fs::write(&site.postroom.config, config).expect("written");
    site.postroom.run(&["reload"]);
    site.delivers(ANN, MESSAGE);
    let other = MESSAGE.replace("hello", "another");
    let reply = site.postroom.send("t@example.net", &[ANN], &other).remove(0);
    assert_eq!(
        (reply.code, &reply.text[..5]),
        (552, "5.2.2"),
        "{}",
        site.postroom.log()
    );
    // What filled the account may come once more: its sender was told that it arrived, and is not to hear otherwise.
    assert_eq!(site.send(ANN, MESSAGE).code, 452);
}

#[test]
fn an_agent_may_die() {
    if !peers::root() {
        return;
    }
    let mut site = Site::serving("");
    let first = site.send(ANN, MESSAGE);
    let agent = site.agent("ann").expect("ann's agent");
    signal(agent, Signal::SIGKILL);
    wait_until("it is gone", || is_gone(agent));
    // Sent again it is known again.
    let again = site.send(ANN, MESSAGE);
    assert_eq!((again.code, &again.text), (250, &first.text), "{}", site.postroom.log());
    site.delivers(ANN, &MESSAGE.replace("hello", "another"));
    assert_ne!(site.agent("ann"), Some(agent));
    // Killed in the middle, it has either done it or not.
    for number in 0..10 {
        let message = MESSAGE.replace("hello", &format!("number {number}"));
        // One that runs.
        site.delivers(ANN, &message.replace("number", "before number"));
        let running = site.agent("ann").expect("ann's agent");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(number));
            signal(running, Signal::SIGKILL);
        });
        while site.send(ANN, &message).code != 250 {}
        killer.join().expect("a signal");
        wait_until("it is gone", || is_gone(running));
    }
    let listed = site.as_user("ann", &["message", "list", "--json", "ann", "INBOX"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed.len(), 22, "{}", site.postroom.log());
}

#[test]
fn without_a_monitor_mail_is_deferred() {
    if !peers::root() {
        return;
    }
    let mut site = Site::serving("");
    site.delivers(ANN, MESSAGE);
    let monitor = site.monitor();
    signal(monitor, Signal::SIGKILL);
    wait_until("it is gone", || is_gone(monitor));
    let reply = site.send(BOB, MESSAGE);
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(
        site.postroom
            .log()
            .contains("all mail is deferred until postroom is restarted")
    );
    assert!(site.postroom.running().terminate().success());
    site.serve();
    site.delivers(BOB, MESSAGE);
}

#[test]
fn a_reload_reaches_the_agents() {
    if !peers::root() {
        return;
    }
    let mut site = Site::serving("");
    site.delivers(ANN, MESSAGE);
    let before = site.agent("ann").expect("ann's agent");
    let good = fs::read_to_string(&site.postroom.config).expect("the configuration");
    let default = site.place.file(
        "default.sieve",
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"New\";",
    );
    let changed = good.replace("[sieve]\n", &format!("[sieve]\ndefault = {default:?}\n"));
    fs::write(&site.postroom.config, &changed).expect("written");
    site.postroom.run(&["reload"]);
    site.delivers(ANN, &MESSAGE.replace("hello", "second"));
    assert!(
        site.as_user("ann", &["message", "list", "ann", "New"])
            .contains("second")
    );
    wait_until("the agent of before ends", || is_gone(before));
    // A fault leaves all as it was, and other accounts cannot be had without a restart.
    for (from, to) in [
        ("kind = \"passwd\"", "kind = \"static\""),
        ("user = ", "#user = "),
        ("roots = ", "rots = "),
    ] {
        fs::write(&site.postroom.config, changed.replace(from, to)).expect("written");
        let refused = site.postroom.command(&["reload"]).output().expect("postroom");
        assert!(!refused.status.success(), "{to}");
        site.delivers(ANN, &MESSAGE.replace("hello", to));
        assert!(
            site.as_user("ann", &["message", "list", "ann", "New"])
                .contains("second")
        );
    }
    fs::write(&site.postroom.config, changed.replace("roots = [", "roots = [\"/\", ")).expect("written");
    let told = String::from_utf8(site.postroom.run(&["reload"])).expect("UTF-8");
    assert!(told.contains("restart"), "{told}");
    assert_eq!(site.send("eve@example.org", MESSAGE).code, 451);
}

#[test]
fn it_does_not_start_without_what_it_needs() {
    if !peers::root() {
        return;
    }
    let site = Site::new("");
    let good = fs::read_to_string(&site.postroom.config).expect("the configuration");
    for (from, to, why) in [
        ("user = \"mail\"", "", "needs the setting `user`"),
        ("user = \"mail\"", "user = \"root\"", "must be another"),
        ("roots = ", "#", "roots = [\"/home\"]"),
    ] {
        fs::write(&site.postroom.config, good.replace(from, to)).expect("written");
        let mut command = site.postroom.command(&["serve"]);
        let begun = Instant::now();
        let ended = command.output().expect("postroom");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(why), "{to}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
