//! A private OpenSMTPD, out of its unpacked Debian package and in a mount namespace of its own (it insists on its
//! paths).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::child::Running;
use super::lmtp::Client;
use super::place::{Place, free_address, wait_until};

/// A running OpenSMTPD that takes mail at `smtp`.
pub struct OpenSmtpd {
    pub smtp: SocketAddr,
    running: Running,
}

impl OpenSmtpd {
    /// Starts one with these lines in its configuration.
    pub fn start(place: &Place, unpacked: &Path, lines: &str) -> OpenSmtpd {
        let smtp = free_address();
        let config = place.file(
            "opensmtpd/smtpd.conf",
            format!("listen on 127.0.0.1 port {}\n{lines}", smtp.port()),
        );
        let script = format!(
            "install -m 0644 {} /etc/smtpd.conf && mkdir -p /var/lib/opensmtpd/empty && \
             mkdir -m 0711 -p /var/spool/smtpd && exec smtpd -dv",
            config.display(),
        );
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/as-if-installed"));
        command.arg(unpacked).arg(place.folder("opensmtpd"));
        command.args(["opensmtpd", "opensmtpq", "--", "sh", "-c", &script]);
        let mut running = Running::start("OpenSMTPD", command, &place.path("opensmtpd/log"));
        wait_until("OpenSMTPD answers", || {
            running.assert_alive();
            Client::smtp(smtp).is_ok()
        });
        OpenSmtpd { smtp, running }
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.running.log()
    }
}
