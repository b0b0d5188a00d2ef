//! A private Postfix: its own configuration, queue and port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::child::{Running, run};
use super::lmtp::Client;
use super::peers::program;
use super::place::{Place, free_address, wait_until};

/// A running Postfix that takes mail at `smtp`.
pub struct Postfix {
    pub smtp: SocketAddr,
    config: PathBuf,
    running: Running,
}

const MASTER: &str = "\
{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

impl Postfix {
    /// Starts one with these further lines in main.cf and master.cf.
    pub fn start(place: &Place, main: &str, master: &str) -> Postfix {
        let smtp = free_address();
        let (config, queue, data) = (
            place.folder("postfix"),
            place.folder("postfix-queue"),
            place.folder("postfix-data"),
        );
        let log = place.path("postfix/log");
        let private = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmail_owner = postfix\n\
             setgid_group = postdrop\nmaillog_file = {}\nmaillog_file_prefixes = {}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mta.example.org\nmydestination =\n\
             mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nsmtputf8_enable = yes\n\
             notify_classes =\ndouble_bounce_sender = nobody\n",
            queue.display(),
            data.display(),
            log.display(),
            config.display(),
        );
        place.file("postfix/main.cf", private + main);
        place.file(
            "postfix/master.cf",
            MASTER.replace("{smtp}", &smtp.to_string()) + master,
        );
        run(Command::new("chown").arg("postfix").arg(&data));
        run(Command::new(program("postfix").expect("postfix"))
            .arg("-c")
            .arg(&config)
            .arg("check"));
        // Its processes write the log through postlogd, which only the first line has to find.
        let mut command = Command::new(program("master").expect("Postfix's master"));
        command.arg("-c").arg(&config).arg("-d");
        let mut running = Running::start("Postfix", command, &log);
        wait_until("Postfix answers", || {
            running.assert_alive();
            Client::smtp(smtp).is_ok()
        });
        Postfix { smtp, config, running }
    }

    /// Tries the deferred mail again at once.
    pub fn flush(&self) {
        run(Command::new(program("postqueue").expect("postqueue"))
            .arg("-c")
            .arg(&self.config)
            .arg("-f"));
    }

    /// What `postqueue -p` prints.
    pub fn queued(&self) -> String {
        let postqueue = program("postqueue").expect("postqueue");
        String::from_utf8_lossy(&run(Command::new(postqueue).arg("-c").arg(&self.config).arg("-p"))).into_owned()
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Waits until its log has a line that contains all these words.
    pub fn wait_for_log(&self, words: &[&str]) {
        wait_until(&format!("Postfix logs {words:?}"), || {
            self.log()
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        });
    }
}
