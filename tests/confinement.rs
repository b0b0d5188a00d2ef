//! The running server is confined: what it needs it can do, what it does not need it cannot, and programs run outside.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::sys::signal::Signal;
use nix::unistd::Group;
use support::child::script;
use support::place::{Place, is_root, wait_until};
use support::postroom::{Postroom, Wishes};
use support::processes::{children, command_line, is_gone, process, signal, status};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

/// The two processes of the helper: the one that keeps, and the one that works.
fn helper(postroom: &mut Postroom) -> (u32, u32) {
    let server = postroom.running().id();
    let mut found = (0, 0);
    wait_until("the helper works", || match children(server).as_slice() {
        [keeper] => match children(*keeper).as_slice() {
            // Between fork and exec it is still the other.
            [worker] if command_line(*worker).contains("work") => {
                found = (*keeper, *worker);
                true
            }
            _ => false,
        },
        _ => false,
    });
    found
}

/// A site with a sendmail program and a program for scripts, which write down what they were given.
struct Site {
    place: Place,
    postroom: Postroom,
}

impl Site {
    fn configured(wishes: Wishes<'_>, more: &str) -> Site {
        let place = Place::new();
        let out = place.folder("out");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).expect("permissions");
        let sendmail = place.path("sendmail");
        script(
            &sendmail,
            &format!("cd '{}'; printf '%s ' \"$@\" >>arguments; cat >>content", out.display()),
        );
        let programs = place.folder("programs");
        let write_down = format!(
            "cat >>'{0}/piped'; cp /proc/self/status '{0}/status'; echo seen",
            out.display()
        );
        script(&programs.join("tell"), &write_down);
        let more =
            format!("\n[submission]\nsendmail = {sendmail:?}\n\n[sieve.programs]\nfolder = {programs:?}\n{more}");
        let postroom = Postroom::configured(&place, &Wishes { more: &more, ..wishes });
        Site { place, postroom }
    }

    fn out(&self, name: &str) -> String {
        fs::read_to_string(self.place.path("out").join(name)).unwrap_or_default()
    }

    fn reply(&self, to: &str, message: &str) -> (u16, String) {
        let reply = &self.postroom.send("s@example.net", &[to], message)[0];
        (reply.code, reply.text.clone())
    }
}

const TO_PROGRAMS: &str = "require [\"vnd.dovecot.pipe\", \"vnd.dovecot.execute\", \"variables\", \"fileinto\", \"mailbox\", \"copy\"];\n\
     pipe :copy \"tell\";\n\
     if execute :output \"said\" \"tell\" { fileinto :create \"Told\"; }\n\
     redirect :copy \"out@example.net\";\n";

#[test]
fn it_delivers_and_has_programs_run_by_others() {
    let wishes = match is_root() {
        true => Wishes::site(),
        false => Wishes::default(),
    };
    let mut site = Site::configured(wishes, "");
    site.postroom.give_script("ann", TO_PROGRAMS);
    site.postroom.serve();
    // bob's account is made by the delivery.
    assert_eq!(site.reply(BOB, MESSAGE).0, 250, "{}", site.postroom.log());
    assert_eq!(site.postroom.count(BOB, "INBOX"), 1);
    assert_eq!(site.reply(ANN, MESSAGE).0, 250, "{}", site.postroom.log());
    assert_eq!(site.postroom.count(ANN, "Told"), 1, "{}", site.postroom.log());
    assert!(site.out("piped").contains("Subject: hello"), "{}", site.postroom.log());
    assert_eq!(site.out("arguments"), "-i -f s@example.net -- out@example.net ");
    assert!(site.out("content").ends_with("\nbody\n"));
    site.postroom.run(&["index", "check", ANN]);
    let log = site.postroom.log();
    let line = log
        .lines()
        .find(|line| line.contains("confined by "))
        .expect("a line that says so");
    assert!(line.contains(" INFO "), "{line}");
    let server = process(site.postroom.running().id());
    for task in fs::read_dir(server.join("task")).expect("threads") {
        let task = task.expect("a thread").path();
        assert_eq!(status(&task, "NoNewPrivs"), "1", "{}", task.display());
        if line.contains(", seccomp") {
            assert_eq!(status(&task, "Seccomp"), "2", "{}", task.display());
        }
    }
    let outside = site.out("status");
    assert!(
        outside.contains("NoNewPrivs:\t0\n") && outside.contains("Seccomp:\t0\n"),
        "{outside}"
    );
    assert!(site.postroom.running().terminate().success());
}

#[test]
fn a_set_gid_program_behind_sendmail_gains_its_group() {
    if !is_root() {
        return;
    }
    let mut site = Site::configured(Wishes::site(), "");
    // As postdrop of Postfix.
    let postdrop = site.place.path("postdrop");
    fs::copy("/usr/bin/id", &postdrop).expect("id(1)");
    let group = Group::from_name("games").expect("groups").expect("the group games");
    chown(&postdrop, Some(0), Some(group.gid.as_raw())).expect("chown");
    fs::set_permissions(&postdrop, fs::Permissions::from_mode(0o2755)).expect("permissions");
    let out = site.place.path("out");
    let body = format!(
        "cat >/dev/null; '{}' -gn >'{}/group'",
        postdrop.display(),
        out.display()
    );
    script(&site.place.path("sendmail"), &body);
    site.postroom.give_script("ann", "redirect \"out@example.net\";\n");
    site.postroom.serve();
    assert_eq!(site.reply(ANN, MESSAGE).0, 250, "{}", site.postroom.log());
    assert_eq!(site.out("group"), "games\n");
}

/// Whether Landlock is in force; on kernels without it the log says so, and there is nothing to be seen.
fn has_landlock(postroom: &Postroom) -> bool {
    let log = postroom.log();
    let has = log.contains("confined by Landlock");
    assert!(has || log.contains("the confinement is not whole"), "{log}");
    has
}

/// A folder that is neither below the roots of a test nor among temporary files.
fn elsewhere() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

#[test]
fn a_link_out_of_the_roots_leads_nowhere() {
    let outside = elsewhere();
    let roots = format!("\n[confinement]\nroots = [{:?}]\n", outside.path());
    for (more, code) in [("", 451), (&roots, 250), ("\n[confinement]\nmode = \"off\"\n", 250)] {
        let mut site = Site::configured(Wishes::default(), more);
        fs::create_dir_all(site.postroom.root.join("example.org")).expect("a folder");
        let home = outside.path().join(format!("ann{}", more.len()));
        fs::create_dir(&home).expect("a folder");
        symlink(&home, site.postroom.home("ann")).expect("a link");
        site.postroom.serve();
        if code == 451 && !has_landlock(&site.postroom) {
            return;
        }
        let (found, text) = site.reply(ANN, MESSAGE);
        let log = site.postroom.log();
        assert_eq!(found, code, "{more}: {text}\n{log}");
        assert_eq!(
            home.read_dir().expect("it is there").count() == 0,
            code == 451,
            "{more}"
        );
        if code == 451 {
            let line = log
                .lines()
                .find(|line| line.contains("status=\"deferred\""))
                .expect("a line");
            let place = home.canonicalize().expect("it is there");
            assert!(
                line.contains(place.to_str().expect("UTF-8")) && line.contains("[confinement] roots"),
                "{line}"
            );
            // The others go on.
            assert_eq!(site.reply(BOB, MESSAGE).0, 250);
        }
    }
}

#[test]
fn homes_of_the_table_that_lie_outside_are_named_at_the_start() {
    let (place, outside) = (Place::new(), elsewhere());
    let home = outside.path().join("ann");
    fs::create_dir(&home).expect("a folder");
    let table = format!("[\"{ANN}\"]\nhome = {home:?}\n\n[\"{BOB}\"]\n");
    let table = place.file("users.toml", table);
    let wishes = Wishes {
        table: Some(&table),
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    if !has_landlock(&postroom) {
        return;
    }
    let log = postroom.log();
    let named: Vec<&str> = log.lines().filter(|line| line.contains("lies neither below")).collect();
    assert!(
        named.len() == 1 && named[0].contains(ANN) && named[0].contains("[confinement] roots"),
        "{log}"
    );
    assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 451);
    assert_eq!(postroom.send("s@example.net", &[BOB], MESSAGE)[0].code, 250);
    assert_eq!(home.read_dir().expect("it is there").count(), 0);
}

#[test]
fn files_that_are_replaced_are_still_read() {
    let place = Place::new();
    let filters = place.folder("filters");
    let default = filters.join("default.sieve");
    fs::write(&default, "keep;\n").expect("written");
    let table = place.file("tables/users.toml", format!("[\"{ANN}\"]\n"));
    let wishes = Wishes {
        default: Some(&default),
        table: Some(&table),
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 250);
    for (file, text) in [
        (
            &default,
            "require [\"fileinto\", \"mailbox\"]; fileinto :create \"New\";\n".to_owned(),
        ),
        (&table, format!("[\"{ANN}\"]\n\n[\"{BOB}\"]\n")),
    ] {
        let new = file.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, file).expect("renamed");
    }
    wait_until("the new table is read", || {
        postroom.send("s@example.net", &[BOB], MESSAGE)[0].code == 250
    });
    assert_eq!(postroom.count(BOB, "New"), 1, "{}", postroom.log());
}

#[test]
fn a_worker_that_dies_is_started_again() {
    let mut site = Site::configured(Wishes::default(), "");
    site.postroom.give_script("ann", "redirect \"out@example.net\";\n");
    site.postroom.serve();
    let (keeper, worker) = helper(&mut site.postroom);
    for id in [keeper, worker] {
        // A stop of the service is told to all of its processes.
        signal(id, Signal::SIGTERM);
        signal(id, Signal::SIGINT);
    }
    assert_eq!(site.reply(ANN, MESSAGE).0, 250, "{}", site.postroom.log());
    signal(worker, Signal::SIGKILL);
    wait_until("the worker is gone", || is_gone(worker));
    // It waits until there is another.
    let again = MESSAGE.replace("<1@", "<2@");
    assert_eq!(site.reply(ANN, &again).0, 250, "{}", site.postroom.log());
    let (same, another) = helper(&mut site.postroom);
    assert!(same == keeper && another != worker);
    site.postroom.running().kill();
    wait_until("the helper ends with its server", || {
        is_gone(keeper) && is_gone(another)
    });
}

#[test]
fn a_worker_that_dies_at_work_defers_the_message() {
    let mut site = Site::configured(Wishes::default(), "");
    let begun = site.place.path("out/begun");
    let body = format!(
        "cat >/dev/null; [ -e '{0}' ] || {{ echo >'{0}'; sleep 60; }}",
        begun.display()
    );
    script(&site.place.path("sendmail"), &body);
    site.postroom.give_script("ann", "redirect \"out@example.net\";\n");
    site.postroom.serve();
    let (_, worker) = helper(&mut site.postroom);
    let (code, _) = std::thread::scope(|scope| {
        let reply = scope.spawn(|| site.reply(ANN, MESSAGE));
        wait_until("the program runs", || begun.exists());
        signal(worker, Signal::SIGKILL);
        reply.join().expect("a reply")
    });
    assert_eq!(code, 451);
    let log = site.postroom.log();
    assert!(log.contains("the helper ended while it ran a program"), "{log}");
    assert_eq!(site.reply(ANN, MESSAGE).0, 250, "{}", site.postroom.log());
}

#[test]
fn without_a_helper_what_needs_a_program_is_deferred_and_nothing_is_lost() {
    let mut site = Site::configured(Wishes::default(), "");
    let requires = "require [\"vnd.dovecot.pipe\", \"vnd.dovecot.execute\"];\n";
    for (user, script) in [
        ("redirects", "redirect \"out@example.net\";\n"),
        ("pipes", "pipe \"tell\";\n"),
        ("asks", "if not execute \"tell\" { discard; }\n"),
        ("keeps", "keep;\n"),
    ] {
        site.postroom.give_script(user, &format!("{requires}{script}"));
    }
    site.postroom.serve();
    let (keeper, worker) = helper(&mut site.postroom);
    signal(keeper, Signal::SIGKILL);
    signal(worker, Signal::SIGKILL);
    wait_until("the helper is gone", || is_gone(keeper) && is_gone(worker));
    for user in ["redirects", "pipes", "asks"] {
        let (code, text) = site.reply(&format!("{user}@example.org"), MESSAGE);
        assert_eq!(code, 451, "{user}: {text}\n{}", site.postroom.log());
        assert_eq!(
            site.postroom.count(&format!("{user}@example.org"), "INBOX"),
            0,
            "{user}"
        );
    }
    assert_eq!(site.reply("keeps@example.org", MESSAGE).0, 250);
    let log = site.postroom.log();
    assert!(
        log.contains("the helper that runs programs is gone") && log.contains("restart"),
        "{log}"
    );
    assert!(site.postroom.running().terminate().success());
    site.postroom.serve();
    for user in ["redirects", "pipes", "asks"] {
        assert_eq!(site.reply(&format!("{user}@example.org"), MESSAGE).0, 250, "{user}");
    }
}

#[test]
fn it_can_be_switched_off_and_asked_for() {
    let mut off = Site::configured(Wishes::default(), "\n[confinement]\nmode = \"off\"\n");
    off.postroom.give_script("ann", TO_PROGRAMS);
    off.postroom.serve();
    let server = off.postroom.running().id();
    assert_eq!(status(&process(server), "NoNewPrivs"), "0");
    assert!(off.postroom.log().contains("not confined"), "{}", off.postroom.log());
    assert_eq!(off.reply(ANN, MESSAGE).0, 250);
    assert_eq!(off.postroom.count(ANN, "Told"), 1);
    assert_eq!(children(server), [] as [u32; 0]);
    let place = Place::new();
    let usual = Postroom::serving(&place, &Wishes::default());
    if !usual.log().contains("the confinement is not whole") {
        let mut asked = Site::configured(Wishes::default(), "\n[confinement]\nmode = \"required\"\n");
        asked.postroom.serve();
        assert_eq!(status(&process(asked.postroom.running().id()), "Seccomp"), "2");
    }
}
