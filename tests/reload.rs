//! A new configuration without a restart, a restart without a refusal, and what systemd hears of both.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::child::Running;
use support::lmtp::{Carriage, Client, Reply};
use support::place::{PATIENCE, Place, free_address, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

#[track_caller]
fn assert_is(reply: &Reply, code: u16, enhanced: &str) {
    assert!(
        reply.code == code && reply.text.starts_with(enhanced),
        "not {code} {enhanced}: {reply:?}"
    );
}

fn change(postroom: &Postroom, from: &str, to: &str) {
    let text = fs::read_to_string(&postroom.config).expect("the configuration");
    assert!(text.contains(from), "no {from} in {text}");
    fs::write(&postroom.config, text.replace(from, to)).expect("the configuration");
}

fn greeting(address: SocketAddr) -> String {
    let mut client = Client::silent(address, true).expect("a connection");
    client.reply().expect("a greeting").text
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_new_configuration_for_new_sessions() {
    let place = Place::new();
    let wishes = Wishes {
        users: Some(&["ann"]),
        more: "\n[limits]\nmessage_size = \"5000\"\n",
        ..Wishes::default()
    };
    let mut postroom = Postroom::serving(&place, &wishes);
    let mut earlier = Client::lmtp(postroom.lmtp).expect("a session");
    let (old, new) = (postroom.smtp, free_address());
    change(&postroom, "mx.example.org", "new.example.org");
    change(&postroom, "[\"ann\"]", "[\"bob\"]");
    change(&postroom, "\"5000\"", "\"6000\"");
    change(&postroom, &old.to_string(), &new.to_string());
    let output = postroom.run_with_input(&["reload"], b"");
    assert!(
        output.status.success() && said(&output).contains("reloaded"),
        "{}",
        said(&output)
    );

    assert!(greeting(postroom.lmtp).starts_with("new.example.org"), "the name");
    let mut later = Client::lmtp(postroom.lmtp).expect("a session");
    for (client, size, user, other) in [(&mut earlier, 5000, "ann", "bob"), (&mut later, 6000, "bob", "ann")] {
        let reply = client.command("LHLO x").expect("a reply");
        assert!(reply.text.contains(&format!("SIZE {size}")), "{reply:?}");
        client.command("MAIL FROM:<s@example.net>").expect("a reply");
        for (user, code) in [(user, 250), (other, 550)] {
            let reply = client.command(&format!("RCPT TO:<{user}@example.org>"));
            assert_is(&reply.expect("a reply"), code, "");
        }
        assert_is(&client.command("DATA").expect("a reply"), 354, "");
        client.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
        assert_is(&client.reply().expect("a reply"), 250, "2.1.5");
    }
    assert!(Client::smtp(new).is_ok(), "the new door is open");
    wait_until("the old door is closed", || Client::smtp(old).is_err());
    assert!(Client::lmtp_unix(&postroom.socket).is_ok());
    // By SIGHUP as well; and a Unix socket that is named no more goes.
    change(&postroom, "new.example.org", "newer.example.org");
    change(
        &postroom,
        &format!("unix:{}", postroom.socket.display()),
        &free_address().to_string(),
    );
    postroom.running().signal(Signal::SIGHUP);
    wait_until("it has a new name", || {
        greeting(postroom.lmtp).starts_with("newer.example.org")
    });
    wait_until("the socket is gone", || !postroom.socket.exists());
}

#[test]
fn what_the_server_may_touch_stays_as_it_was_at_the_start() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    if !postroom.log().contains("Landlock (") {
        println!("skipped: this kernel has no Landlock");
        return;
    }
    let elsewhere = place.folder("elsewhere");
    change(
        &postroom,
        &format!("root = {:?}", place.path("vmail")),
        &format!("root = {elsewhere:?}"),
    );
    let output = postroom.run_with_input(&["reload"], b"");
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("folders or ports that it may not touch"),
        "{}",
        said(&output)
    );
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let sent = client.send("s@example.net", &[ANN], MESSAGE.as_bytes(), Carriage::Data);
    assert_is(&sent.expect("replies")[0], 451, "4.3.0");
    assert_eq!(fs::read_dir(&elsewhere).expect("a folder").count(), 0);
    // A restart is all that it takes.
    postroom.running().terminate();
    postroom.serve();
    assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 250);
}

#[test]
fn a_faulty_configuration_changes_nothing() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address)).expect("its address");
    let wishes = Wishes {
        more: "\n[limits]\nhops = 100\n",
        ..Wishes::default()
    };
    let mut postroom = Postroom::serving(&place, &wishes);
    let good = fs::read_to_string(&postroom.config).expect("the configuration");
    for (from, to, why) in [
        ("hops = 100", "hop = 100", "hops"),
        ("hops = 100", "hops = many", "this is not TOML"),
        (&*postroom.smtp.to_string(), &*taken.1.to_string(), "cannot listen on"),
        (
            "hops = 100",
            "[store]\nspool = \"/nonexistent/spool\"",
            "/nonexistent/spool",
        ),
        (
            "kind = \"static\"",
            "kind = \"table\"\nfile = \"/nonexistent/users\"",
            "/nonexistent/users",
        ),
    ] {
        fs::write(&postroom.config, &good).expect("the configuration");
        change(&postroom, "mx.example.org", "bad.example.org");
        change(&postroom, from, to);
        let output = postroom.run_with_input(&["reload"], b"");
        assert!(
            output.status.code() == Some(78) && said(&output).contains(why),
            "{why}: {}",
            said(&output)
        );
        let logged = |log: &str| log.matches("stays as it was").count();
        let before = logged(&postroom.log());
        postroom.running().signal(Signal::SIGHUP);
        wait_until("the log says so", || logged(&postroom.log()) > before);
        assert!(postroom.log().contains(why), "{}", postroom.log());
        for address in [postroom.lmtp, postroom.smtp] {
            assert!(greeting(address).starts_with("mx.example.org"), "{why}");
        }
        assert!(Client::lmtp_unix(&postroom.socket).is_ok());
    }
    fs::write(&postroom.config, &good).expect("the configuration");
    assert!(postroom.run_with_input(&["reload"], b"").status.success());
    // What waits for a restart is said.
    change(&postroom, "mode = \"0666\"", "mode = \"0600\"");
    fs::write(
        &postroom.config,
        fs::read_to_string(&postroom.config).expect("it") + "[log]\nlevel = \"debug\"\n",
    )
    .expect("it");
    for _ in 0..2 {
        let output = postroom.run_with_input(&["reload"], b"");
        assert!(output.status.success(), "{}", said(&output));
        for words in [
            "[log] changes with a restart",
            "mode, owner and group change with a restart",
        ] {
            assert!(said(&output).contains(words), "{}", said(&output));
        }
    }
    assert!(postroom.running().terminate().success());
    let output = postroom.run_with_input(&["reload"], b"");
    assert!(
        output.status.code() == Some(75) && said(&output).contains("no postroom serves"),
        "{}",
        said(&output)
    );
}

/// `serve` as systemd starts it: with this socket, by this name.
fn activated(postroom: &Postroom, place: &Place, listener: &TcpListener, name: &str) -> Running {
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=\"$NAME\"; exec \"$@\"";
    let serve = postroom.command(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(serve.get_program())
        .args(serve.get_args());
    command.env("NAME", name);
    let socket: OwnedFd = listener.try_clone().expect("a second handle").into();
    Running::start_with_input(
        "postroom serve",
        command,
        &place.path("postroom.log"),
        Stdio::from(socket),
    )
}

#[test]
fn a_restart_refuses_nobody() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    // By its address, and by its name.
    for (name, address) in [("any", None), ("lmtp", Some("systemd:lmtp"))] {
        let listener = TcpListener::bind(postroom.lmtp).expect("a port");
        if let Some(address) = address {
            change(&postroom, &format!("\"{}\"", postroom.lmtp), &format!("{address:?}"));
        }
        let mut server = activated(&postroom, &place, &listener, name);
        wait_until("it answers", || Client::lmtp(postroom.lmtp).is_ok());
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, refused, put_off) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (stop, sent, refused, put_off) = (stop.clone(), sent.clone(), refused.clone(), put_off.clone());
                let address = postroom.lmtp;
                thread::spawn(move || {
                    for round in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            return;
                        }
                        match Client::lmtp(address) {
                            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                                refused.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(error) => {
                                assert!(error.to_string().contains("421"), "neither served nor told: {error}")
                            }
                            Ok(mut client) => {
                                let sender = format!("s{number}-{round}@example.net");
                                match send(&mut client, &sender) {
                                    true => sent.fetch_add(1, Ordering::SeqCst),
                                    false => put_off.fetch_add(1, Ordering::SeqCst),
                                };
                            }
                        }
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            let so_far = sent.load(Ordering::SeqCst);
            wait_until("mail flows", || sent.load(Ordering::SeqCst) > so_far + 4);
            assert!(server.terminate().success());
            thread::sleep(Duration::from_millis(300));
            server = activated(&postroom, &place, &listener, name);
        }
        let so_far = sent.load(Ordering::SeqCst);
        wait_until("mail flows", || sent.load(Ordering::SeqCst) > so_far + 4);
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("a client");
        }
        assert_eq!(refused.load(Ordering::SeqCst), 0);
        assert!(server.terminate().success());
    }
}

// Whether it was delivered; or the server said 421 between the commands.
fn send(client: &mut Client, sender: &str) -> bool {
    for (line, code) in [
        (format!("MAIL FROM:<{sender}>"), 250),
        (format!("RCPT TO:<{ANN}>"), 250),
        ("DATA".to_owned(), 354),
        (format!("{MESSAGE}."), 250),
    ] {
        let reply = client.command(&line).or_else(|_| client.reply());
        match reply {
            Ok(reply) if reply.code == code => {}
            Ok(reply) => {
                assert_is(&reply, 421, "4.3.2");
                return false;
            }
            // It was closed with our command unread.
            Err(error) => {
                assert!(!line.starts_with("Subject"), "a session in DATA is lost: {error}");
                return false;
            }
        }
    }
    true
}

#[test]
fn what_is_not_passed_is_said() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    change(&postroom, &format!("\"{}\"", postroom.lmtp), "\"systemd:lmtp\"");
    let mut server = activated(&postroom, &place, &listener, "other");
    wait_until("it says so", || server.log().contains("FileDescriptorName=lmtp"));
    // Variables that were meant for another process pass nothing.
    let mut command = postroom.command(&["serve"]);
    command
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDNAMES", "lmtp");
    let output = command.output().expect("it ends");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    server.terminate();
}

#[test]
fn what_the_service_manager_hears() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let path = place.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a time");
    let hear = || {
        let mut words = [0; 500];
        let length = manager.recv(&mut words).expect("a word");
        String::from_utf8_lossy(&words[..length]).into_owned()
    };
    // Anything but the signs of life between.
    let hear_next = || loop {
        let words = hear();
        if words != "WATCHDOG=1" {
            return words;
        }
    };
    let mut command = postroom.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let mut server = Running::start("postroom serve", command, &place.path("postroom.log"));
    let ready = hear_next();
    assert!(ready.starts_with("READY=1\nSTATUS=Serving at "), "{ready}");
    assert!(Client::lmtp(postroom.lmtp).is_ok(), "it is ready when it says so");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    server.signal(Signal::SIGHUP);
    let reloading = hear_next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(hear_next().starts_with("READY=1\n"));
    // A fault ends the reload too.
    change(&postroom, "mx.example.org", "mx example");
    server.signal(Signal::SIGHUP);
    assert!(hear_next().starts_with("RELOADING=1\n"));
    assert!(hear_next().starts_with("READY=1\n"));
    server.signal(Signal::SIGTERM);
    assert!(hear_next().starts_with("STOPPING=1\n"));
    assert!(server.terminate().success());
}
