//! Who may come to a door, how many, for how long, and with how much: each bound with its reply.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::child::{Running, run};
use support::lmtp::{Carriage, Client, Reply};
use support::peers;
use support::place::{PATIENCE, Place, free_address, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

fn site(place: &Place, more: &str) -> Postroom {
    let wishes = Wishes {
        more,
        ..Wishes::default()
    };
    Postroom::serving(place, &wishes)
}

#[track_caller]
fn assert_is(reply: &Reply, code: u16, enhanced: &str) {
    assert!(
        reply.code == code && reply.text.starts_with(enhanced),
        "not {code} {enhanced}: {reply:?}"
    );
}

/// A transaction up to 354.
#[track_caller]
fn begin(client: &mut Client, from: &str, to: &str) {
    for (line, code) in [
        (&*format!("MAIL FROM:<{from}>"), 250),
        (&format!("RCPT TO:<{to}>"), 250),
        ("DATA", 354),
    ] {
        assert_is(&client.command(line).expect("a reply"), code, "");
    }
}

#[test]
fn lmtp_never_on_the_port_of_smtp() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let text = fs::read_to_string(&postroom.config).expect("the configuration");
    let text = text.replacen(&postroom.lmtp.to_string(), "127.0.0.1:25", 1);
    fs::write(&postroom.config, text).expect("the configuration");
    let output = postroom.run_with_input(&["serve"], b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(78) && said.contains("RFC 2033 §5"),
        "{said}"
    );
}

#[test]
fn only_those_who_may_come() {
    let (place, door) = (Place::new(), free_address());
    let more = format!(
        "\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"{door}\"\nallow = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n"
    );
    let postroom = site(&place, &more);
    let mut client = Client::silent(door, true).expect("a connection");
    assert_is(&client.reply().expect("a farewell"), 554, "5.7.1");
    assert!(client.reply().is_err(), "closed after 554");
    let log = postroom.log();
    assert!(log.contains("refused: `allow`") && log.contains("127.0.0.1"), "{log}");
    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
}

#[test]
fn so_many_from_one() {
    let place = Place::new();
    let postroom = site(&place, "\n[limits]\nconnections_per_peer = 2\n");
    let mut held = Vec::new();
    wait_until("two are let in", || {
        held.extend(Client::lmtp(postroom.lmtp)); // The one that looked whether it answers may still be there.
        held.len() == 2
    });
    for address in [postroom.lmtp, postroom.smtp] {
        let mut third = Client::silent(address, false).expect("a connection");
        assert_is(&third.reply().expect("a farewell"), 421, "4.7.0");
        assert!(third.reply().is_err(), "closed after 421");
    }
    let by_socket: Vec<Client> = (0..3).flat_map(|_| Client::lmtp_unix(&postroom.socket)).collect();
    assert_eq!(by_socket.len(), 3, "Unix sockets are not counted");
    drop(held);
    wait_until("there is room again", || Client::smtp(postroom.smtp).is_ok());
}

/// A header of version 2 for a client at 192.0.2.`last`.
fn version_2(last: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
    header.extend([192, 0, 2, last, 127, 0, 0, 1, 0x30, 0x39, 0, 24]);
    header.extend([0x04, 0, 0]); // PP2_TYPE_NOOP
    header
}

#[test]
fn for_whom_a_proxy_comes() {
    let (place, door, untrusted) = (Place::new(), free_address(), free_address());
    let listen = |address, trusted| {
        format!(
            "\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"{address}\"\nproxy = true\ntrusted = [{trusted:?}]\n\
             allow = [\"192.0.2.0/28\", \"2001:db8::/32\", \"127.0.0.1\"]\n"
        )
    };
    let more = listen(door, "127.0.0.1") + &listen(untrusted, "192.0.2.1") + "\n[limits]\nconnections_per_peer = 2\n";
    let postroom = site(&place, &more);
    let come = |header: &[u8]| {
        let mut client = Client::silent(door, true).expect("a connection");
        client.write(header).expect("sent");
        client
    };
    for (header, from) in [
        (version_2(7), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 24\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP4 192.0.2.9 127.0.0.1 12345 24\r\n".to_vec(), "192.0.2.9"),
        // For itself: LOCAL, and who does not know.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ] {
        let dialogue = format!(
            "LHLO x\r\nMAIL FROM:<{}@example.net>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n{MESSAGE}.\r\nQUIT\r\n",
            from.replace(':', "-")
        );
        // In one packet with what follows it.
        let mut client = come(&[&header, dialogue.as_bytes()].concat());
        let codes: Vec<u16> = client.replies_to_the_end().iter().map(|reply| reply.code).collect();
        assert_eq!(codes, [220, 250, 250, 250, 354, 250, 221], "{from}");
        let text = postroom.texts(ANN, "INBOX").pop().expect("a message");
        let received = text.split("\nSubject").next().expect("trace").to_owned();
        assert!(received.contains(from), "no {from} in {received}");
    }
    // Octet by octet.
    let mut client = Client::silent(door, true).expect("a connection");
    for octet in version_2(7) {
        client.write(&[octet]).expect("sent");
        thread::sleep(Duration::from_millis(2));
    }
    assert_is(&client.reply().expect("a greeting"), 220, "");
    // Who it comes for is counted, and must be one who may come.
    let mut second = come(&version_2(7));
    assert_is(&second.reply().expect("a greeting"), 220, "");
    assert_is(&come(&version_2(7)).reply().expect("a farewell"), 421, "4.7.0");
    assert_is(&come(&version_2(8)).reply().expect("a greeting"), 220, "");
    assert_is(&come(&version_2(200)).reply().expect("a farewell"), 554, "5.7.1");
    // From others it is no header but nonsense.
    let mut client = Client::silent(untrusted, true).expect("a connection");
    client.write(b"PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n").expect("sent");
    assert_is(&client.reply().expect("a greeting"), 220, "");
    assert_is(&client.reply().expect("a reply"), 500, "5.5.");
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let (place, door) = (Place::new(), free_address());
    let more =
        format!("\n[[listen]]\nprotocol = \"smtp\"\naddress = \"{door}\"\nproxy = true\ntrusted = [\"127.0.0.0/8\"]\n");
    let postroom = site(&place, &more);
    for (header, why) in [
        (&b"EHLO client.example.net\r\n"[..], "does not begin with a header"),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c0123456789ab", "version 1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c0123456789ab", "0x12"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b0123456789a", "27 octets is too short"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "65551 octets is too long"),
        (b"PROXY TCP4 192.0.2.9 127.0.0.1 1\r\n", "line of version 1 is malformed"),
        (b"PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "107 octets is too long"),
    ] {
        let mut client = TcpStream::connect(door).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a time");
        client.write_all(header).expect("sent");
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard); // Closed with octets unread, it may be reset.
        assert_eq!(heard, b"", "not a word to {why}");
        wait_until("the log says why", || postroom.log().contains(why));
    }
    // One that says nothing is not waited for, and neither is one that says only half.
    let begun = Instant::now();
    for half in [&b""[..], b"\r\n\r\n\0"] {
        let mut client = TcpStream::connect(door).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a time");
        client.write_all(half).expect("sent");
        assert_eq!(client.read(&mut [0; 10]).expect("the end"), 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(postroom.log().contains("timed out"), "{}", postroom.log());
}

#[test]
fn a_transaction_may_take_so_long() {
    let place = Place::new();
    let mut postroom = site(&place, "\n[limits]\ntransaction = \"2 s\"\n");
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    assert_is(&client.command("MAIL FROM:<s@example.net>").expect("a reply"), 250, "");
    let mut slow = Client::lmtp(postroom.lmtp).expect("a session");
    begin(&mut slow, "s@example.net", ANN);
    let begun = Instant::now();
    // Never silent, and never done.
    while begun.elapsed() < Duration::from_secs(4) && slow.write(b"x").is_ok() {
        thread::sleep(Duration::from_millis(100));
    }
    for client in [&mut client, &mut slow] {
        assert_is(&client.reply().expect("a farewell"), 421, "4.4.2");
        assert!(client.reply().is_err(), "closed after 421");
    }
    // Between transactions there is more time than that.
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1300));
        begin(&mut client, "s@example.net", ANN);
        client.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
        assert_is(&client.reply().expect("a reply"), 250, "2.1.5");
    }
    // A stop does not wait for ever either.
    begin(&mut client, "s@example.net", ANN);
    let begun = Instant::now();
    postroom.running().signal(Signal::SIGTERM);
    assert_is(&client.reply().expect("a farewell"), 421, "4.4.2");
    assert!(postroom.running().terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A private haproxy, in TCP mode, before a door.
fn haproxy(place: &Place, door: SocketAddr, how: &str) -> (SocketAddr, Running) {
    let address = free_address();
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen lmtp\n  bind {address}\n  server postroom {door} {how} check inter 200 check-send-proxy\n"
    );
    let config = place.file(&format!("haproxy-{}.cfg", address.port()), config);
    let mut command = Command::new(peers::program("haproxy").expect("it is here"));
    command.arg("-db").arg("-f").arg(config);
    let running = Running::start("haproxy", command, &place.path("haproxy.log"));
    (address, running)
}

#[test]
fn a_real_haproxy() {
    if !peers::present(&["haproxy", "swaks"]) {
        return;
    }
    let (place, door) = (Place::new(), free_address());
    let more =
        format!("\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"{door}\"\nproxy = true\ntrusted = [\"127.0.0.1\"]\n");
    let postroom = site(&place, &more);
    for (how, from) in [("send-proxy", "127.0.0.7"), ("send-proxy-v2", "127.0.0.8")] {
        let (address, mut proxy) = haproxy(&place, door, how);
        wait_until("haproxy answers", || {
            proxy.assert_alive();
            Client::lmtp(address).is_ok()
        });
        run(Command::new("swaks")
            .args([
                "--protocol",
                "LMTP",
                "--server",
                &address.to_string(),
                "--local-interface",
                from,
            ])
            .args(["--from", "s@example.net", "--to", ANN, "--body", how]));
        let text = postroom.texts(ANN, "INBOX").pop().expect("a message");
        let received = text.split("\nDate").next().expect("trace");
        assert!(received.contains(from), "no {from} in {received}");
    }
}

#[test]
fn a_locked_mailbox_is_nobody_elses_trouble() {
    let place = Place::new();
    let limits = "\n[limits]\ndeliveries = 4\ndeliveries_per_account = 2\nwaiting_per_account = 2\n";
    let postroom = site(&place, limits);
    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
    let index = postroom.home("ann").join("index.sqlite");
    let database = rusqlite::Connection::open(index).expect("the index");
    database.execute_batch("BEGIN IMMEDIATE").expect("locked");
    // Two at it, two that wait, and one too many: whichever came last.
    let begun = Instant::now();
    let (answer, answers) = mpsc::channel();
    for number in 0..5 {
        let mut client = Client::lmtp(postroom.lmtp).expect("a session");
        begin(&mut client, &format!("s{number}@example.net"), ANN);
        client.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
        let answer = answer.clone();
        thread::spawn(move || answer.send(client.reply().expect("a reply")));
    }
    let refused = answers.recv_timeout(Duration::from_secs(2)).expect("at once");
    assert_is(&refused, 451, "4.3.0");
    // Beside ann, everybody gets mail at once, in the same message too.
    for to in [&[BOB][..], &["eve@example.org"], &[ANN, "dan@example.org"]] {
        let replies = postroom.send("s@example.net", to, MESSAGE);
        assert_is(replies.last().expect("a reply"), 250, "2.1.5");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(
        postroom.log().contains("too many deliveries at once"),
        "{}",
        postroom.log()
    );
    database.execute_batch("COMMIT").expect("unlocked");
    for _ in 0..4 {
        let reply = answers.recv_timeout(Duration::from_secs(20)).expect("a reply");
        assert_is(&reply, 250, "2.1.5");
    }
}

#[test]
fn a_directory_that_hangs_stalls_nobody_who_is_known() {
    let place = Place::new();
    let table = place.file("users.toml", "[\"ann@example.org\"]\n[\"bob@example.org\"]\n");
    let wishes = Wishes {
        table: Some(&table),
        more: "\n[limits]\nlookups = 2\nlookup_timeout = \"1 s\"\n",
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    let mut known = Client::lmtp(postroom.lmtp).expect("a session");
    begin(&mut known, "s@example.net", ANN);
    // Whoever reads it now waits for a writer.
    fs::remove_file(&table).expect("removed");
    nix::unistd::mkfifo(&table, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a pipe");
    let mut replies: Vec<(Reply, Duration)> = Vec::new();
    // The file is looked at once in a while, by one at a time.
    wait_until("somebody looks into it", || {
        let address = postroom.lmtp;
        let ask = move |user: &'static str| {
            let mut client = Client::lmtp(address).expect("a session");
            client.command("MAIL FROM:<s@example.net>").expect("a reply");
            let begun = Instant::now();
            let reply = client.command(&format!("RCPT TO:<{user}>")).expect("a reply");
            (reply, begun.elapsed())
        };
        let asked = ["u@example.org", BOB, ANN].map(|user| thread::spawn(move || ask(user)));
        replies.extend(asked.into_iter().map(|asked| asked.join().expect("a reply")));
        replies.iter().any(|(reply, _)| reply.code == 451)
    });
    for (reply, time) in &replies {
        assert!([250, 451, 550].contains(&reply.code), "{reply:?}");
        assert!(*time < Duration::from_secs(3), "{reply:?} after {time:?}");
    }
    known.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
    assert_is(&known.reply().expect("a reply"), 250, "2.1.5");
    assert!(postroom.log().contains("lookup_timeout"), "{}", postroom.log());
    // The threads that hang must end before the server can.
    let _ = fs::File::options().write(true).open(&table);
}

/// Files without a name that the server holds open.
fn spooled(postroom: &mut Postroom) -> usize {
    let folder = format!("/proc/{}/fd", postroom.running().id());
    let entries = fs::read_dir(folder).expect("its files");
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let is_spool = |link: &std::path::PathBuf| link.to_string_lossy().ends_with(" (deleted)");
    links.filter(is_spool).count()
}

#[test]
fn with_memory_short_messages_go_to_files() {
    for (total, files) in [("64 MiB", 0), ("300 KiB", 3)] {
        let place = Place::new();
        let mut postroom = site(&place, &format!("\n[limits]\nmemory_total = {total:?}\n"));
        let before = spooled(&mut postroom);
        let text = format!("Subject: x\r\n\r\n{}", "0123456789abcdef\r\n".repeat(10_000));
        let mut clients: Vec<Client> = (0..4)
            .map(|number| {
                let mut client = Client::lmtp(postroom.lmtp).expect("a session");
                begin(&mut client, &format!("s{number}@example.net"), ANN);
                client.write(text.as_bytes()).expect("sent");
                client
            })
            .collect();
        wait_until("they lie where they should", || {
            let now = spooled(&mut postroom) - before;
            now >= files && (files > 0 || now == 0)
        });
        for client in &mut clients {
            client.write(b".\r\n").expect("sent");
            assert_is(&client.reply().expect("a reply"), 250, "2.1.5");
        }
        let texts = postroom.texts(ANN, "INBOX");
        assert_eq!(texts.len(), 4);
        assert!(texts.iter().all(|stored| stored.ends_with(&text.replace("\r\n", "\n"))));
        wait_until("all is given back", || spooled(&mut postroom) == before);
    }
}

#[test]
fn an_mta_that_hangs_stalls_nobodys_rcpt() {
    let place = Place::new();
    let relay = support::relay::Relay::new();
    relay.keep_silent(true);
    let wishes = Wishes {
        submission: Some(relay.address),
        more: "\n[limits]\ndeliveries = 4\nlookups = 2\n",
        ..Wishes::default()
    };
    let postroom = Postroom::configured(&place, &wishes);
    postroom.give_script("ann", "require \"reject\"; reject \"no\";");
    let mut postroom = postroom;
    postroom.serve();
    // One takes it and one refuses: the sender is to be told, by an MTA that says nothing.
    let mut waiting: Vec<Client> = (0..8)
        .map(|number| {
            let mut client = Client::smtp(postroom.smtp).expect("a session");
            client
                .command(&format!("MAIL FROM:<s{number}@example.net>"))
                .expect("a reply");
            for to in [ANN, BOB] {
                assert_is(&client.command(&format!("RCPT TO:<{to}>")).expect("a reply"), 250, "");
            }
            assert_is(&client.command("DATA").expect("a reply"), 354, "");
            client.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
            client
        })
        .collect();
    wait_until("they are delivered", || postroom.count(BOB, "INBOX") == 8);
    let begun = Instant::now();
    for number in 0..5 {
        let sender = format!("t{number}@example.net");
        assert_is(&postroom.send(&sender, &[BOB], MESSAGE)[0], 250, "2.1.5");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    relay.keep_silent(false);
    for client in &mut waiting {
        assert!([250, 451].contains(&client.reply().expect("a reply").code));
    }
}

#[test]
fn an_mta_that_hangs_leaves_places_to_others() {
    let place = Place::new();
    let relay = support::relay::Relay::new();
    relay.keep_silent(true);
    let wishes = Wishes {
        submission: Some(relay.address),
        more: "\n[limits]\ndeliveries = 4\n",
        ..Wishes::default()
    };
    let mut postroom = Postroom::configured(&place, &wishes);
    for user in ["r0", "r1", "r2", "r3"] {
        postroom.give_script(user, "redirect \"elsewhere@example.net\";");
    }
    postroom.serve();
    let mut redirected: Vec<Client> = (0..4)
        .map(|number| {
            let mut client = Client::lmtp(postroom.lmtp).expect("a session");
            begin(&mut client, "s@example.net", &format!("r{number}@example.org"));
            client.write(format!("{MESSAGE}.\r\n").as_bytes()).expect("sent");
            client
        })
        .collect();
    let begun = Instant::now();
    assert_is(&postroom.send("s@example.net", &[BOB], MESSAGE)[0], 250, "2.1.5");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    wait_until("two are put off", || {
        postroom.log().matches("too many messages are being redirected").count() >= 2
    });
    relay.keep_silent(false);
    let codes: Vec<u16> = redirected
        .iter_mut()
        .map(|client| client.reply().expect("a reply").code)
        .collect();
    assert!(codes.iter().filter(|code| **code == 451).count() >= 2, "{codes:?}");
}

#[test]
fn carried_otherwise_it_is_bounded_alike() {
    let (place, door): (Place, SocketAddr) = (Place::new(), free_address());
    let more = format!(
        "\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"{door}\"\nproxy = true\ntrusted = [\"127.0.0.1\"]\n\
         allow = [\"192.0.2.0/24\"]\n[limits]\nmessage_size = \"2000\"\n"
    );
    let postroom = site(&place, &more);
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(200));
    for carriage in [Carriage::Data, Carriage::Chunks(500)] {
        let mut client = Client::lmtp(postroom.lmtp).expect("a session");
        let replies = client.send("s@example.net", &[ANN], large.as_bytes(), carriage);
        assert_is(&replies.expect("replies")[0], 552, "5.3.4");
    }
}

#[test]
fn commands_are_bounded() {
    let place = Place::new();
    let wishes = Wishes {
        more: "\n[limits]\ncommand_line = \"600\"\nerrors = 2\ncommands_without_mail = 5\n",
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let long = |length: usize| format!("NOOP {}", "x".repeat(length));
    assert_eq!(client.command(&long(590)).expect("a reply").code, 250);
    assert_eq!(client.command(&long(600)).expect("a reply").code, 500);
    assert_eq!(client.command("FOO").expect("a reply").code, 500);
    let reply = client.command("FOO").expect("a reply");
    assert!(reply.code == 421 && reply.text.starts_with("4.7.0"), "{reply:?}");
    assert_eq!(client.replies_to_the_end(), []);

    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    // The hello was one.
    for _ in 0..4 {
        assert_eq!(client.command("NOOP").expect("a reply").code, 250);
    }
    let reply = client.command("NOOP").expect("a reply");
    assert!(reply.code == 421 && reply.text.starts_with("4.7.0"), "{reply:?}");
    assert_eq!(client.replies_to_the_end(), []);
}
