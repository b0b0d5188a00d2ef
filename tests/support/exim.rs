//! A private Exim, out of its unpacked Debian package and in a mount namespace of its own (it insists on its paths).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::child::Running;
use super::lmtp::Client;
use super::place::{Place, free_address, wait_until};

/// A running Exim that takes mail at `smtp`.
pub struct Exim {
    pub smtp: SocketAddr,
    running: Running,
}

impl Exim {
    /// Starts one with this router and transport.
    pub fn start(place: &Place, unpacked: &Path, router: &str, transport: &str) -> Exim {
        let smtp = free_address();
        let spool = place.folder("exim/spool");
        let log = place.path("exim/log");
        let config = format!(
            "spool_directory = {spool}\nlog_file_path = {spool}/%slog\npid_file_path = {spool}/pid\n\
             daemon_smtp_ports = {port}\nlocal_interfaces = 127.0.0.1\nprimary_hostname = mta.example.org\n\
             acl_smtp_rcpt = accept\ntls_advertise_hosts =\nkeep_environment =\n\
             begin acl\nbegin routers\n{router}\nbegin transports\n{transport}\nbegin retry\n* * F,2h,1m\n",
            spool = spool.display(),
            port = smtp.port(),
        );
        let config = place.file("exim/exim.conf", config);
        // Exim insists on a configuration at its own place that belongs to root, and reads it as its own user.
        let script = format!(
            "install -D -m 0644 {} /etc/exim4/exim4.conf && chown -R Debian-exim {} && exec exim4 -bdf -q1m",
            config.display(),
            spool.display(),
        );
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/as-if-installed"));
        command
            .arg(unpacked)
            .arg(place.folder("exim"))
            .args(["Debian-exim", "--", "sh", "-c", &script]);
        let mut running = Running::start("Exim", command, &log);
        wait_until("Exim answers", || {
            running.assert_alive();
            Client::smtp(smtp).is_ok()
        });
        Exim { smtp, running }
    }
}
