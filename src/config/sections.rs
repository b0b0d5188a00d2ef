//! Every setting: its words, its kind, its default. The reference page, the example
//! file and what is read all come from here.

use std::path::PathBuf;
use std::time::Duration;

use super::kinds::{
    Account, Age, Choice, Count, Delimiters, Domain, ExtraBytes, ExtraMessages, FieldName, Flag, HomeFolder, Kind,
    Lasting, List, Mailbox, Mailboxes, Memory, Mode, NewMailbox, Number, OneOf, Optional, PathTo, Peer, Percent,
    Period, QuotaBytes, QuotaMessages, ScanField, ScanText, Score, Sender, Separator, Server, Size, Socket, User,
    UserId, Word,
};
use super::reader::{Info, Reader, Section, Setting};
use super::{HostPort, ListenAddress, ListenProtocol, RedirectFrom};
use crate::confinement::Mode as Confine;
use crate::directory::TableFormat;
use crate::mail::{Address, Extra, MailboxName, MailboxPattern, QuotaUnit};
use crate::server::Network;
use crate::sieve::{FieldPattern, Points, Verdict};
use crate::telemetry::{Format, Level};

/// Declares an enum whose values are words of the file.
macro_rules! choice {
    ($(#[$about:meta])+ pub enum $name:ident { $($(#[$doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])+ $variant,)+
        }

        impl $crate::config::kinds::Choice for $name {
            const WORDS: &'static [(&'static str, $name)] = &[$(($word, $name::$variant)),+];
        }
    };
}
pub(super) use choice;

/// Declares a section: a struct, its description, how it is read and shown.
///
/// `key: type as kind = default;` where the default is written as in TOML, or
/// `none`. After it, `set VALUE` is what the example file says, `shown VALUE` what
/// it shows in a comment.
macro_rules! section {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident in $heading:literal $($repeated:ident)? {
        $($(#[doc = $doc:literal])+ $key:ident: $value:ty as $kind:ty = $default:tt
            $(, set $set:tt)? $(, shown $shown:tt)?;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $key: $value,)+
        }

        impl Section for $name {
            const INFO: Info = Info {
                name: $heading,
                repeated: false $(|| stringify!($repeated).len() > 0)?,
                about: &[$($about),+],
                settings: &[$(Setting {
                    key: stringify!($key),
                    about: &[$($doc),+],
                    expected: <$kind as Kind>::expected,
                    default: default!($default),
                    required: || default!($default).is_none() && <$kind as Kind>::absent().is_none(),
                    set: some!($($set)?),
                    shown: some!($($shown)?),
                }),+],
            };

            fn read(reader: &mut Reader<'_>) -> Option<$name> {
                $(let $key = reader.setting::<$kind>(stringify!($key), default!($default));)+
                Some($name { $($key: $key?),+ })
            }

            fn lines(&self) -> Vec<String> {
                let mut lines = Vec::new();
                $(if let Some(value) = <$kind as Kind>::show(&self.$key) {
                    lines.push(format!("{} = {value}", stringify!($key)));
                })+
                lines
            }
        }
    };
}

macro_rules! default {
    (none) => {
        None::<&'static str>
    };
    ($text:tt) => {
        Some(stringify!($text))
    };
}

macro_rules! some {
    () => {
        None
    };
    ($text:tt) => {
        Some(stringify!($text))
    };
}

/// All sections in the order of the reference; the first is the top of the file.
pub(super) const SECTIONS: &[Info] = &[
    Main::INFO,
    Listen::INFO,
    Who::INFO,
    SieveSettings::INFO,
    SieveLimits::INFO,
    SieveDomain::INFO,
    ProgramSettings::INFO,
    SpamHeaders::INFO,
    VirusHeaders::INFO,
    Submission::INFO,
    Limits::INFO,
    Tls::INFO,
    ManageSieveSettings::INFO,
    StoreSettings::INFO,
    MailboxSettings::INFO,
    SearchSettings::INFO,
    HistorySettings::INFO,
    DeliverySettings::INFO,
    QuotaMain::INFO,
    QuotaMailbox::INFO,
    QuotaWarning::INFO,
    ExpireRule::INFO,
    ConfinementSettings::INFO,
    Log::INFO,
];

section! {
    /// Who this host is, where mail lies, and who owns it.
    ///
    /// Relative paths anywhere in the file count from the folder that the file lies in.
    pub(super) struct Main in "" {
        /// The name of this host in replies and in trace fields. Without it, the name that
        /// the system has, or `localhost`.
        hostname: Option<String> as Optional<Domain> = none, set "mx.example.org";
        /// Where the homes of users lie, as `{root}/{domain}/{local part}`.
        root: PathBuf as PathTo = "/var/vmail", set "/var/vmail";
        /// The user that `serve` becomes when it is started as root, and whose mail it is.
        /// Without it, it runs on as root, and warns.
        user: Option<String> as Optional<Account> = none, set "vmail";
        /// The group that `serve` becomes when it is started as root. Without it, the
        /// main group of `user`.
        group: Option<String> as Optional<Account> = none, shown "vmail";
    }
}

section! {
    /// A door. Write the section once for each.
    pub struct Listen in "listen" repeated {
        /// What is spoken: LMTP answers for each recipient, SMTP for all of them at once.
        /// LMTP on TCP port 25 is refused (RFC 2033 §5). By ManageSieve users change their scripts; its port is
        /// 4190.
        protocol: ListenProtocol as OneOf<ListenProtocol> = none, set "lmtp";
        /// Where: a Unix socket, an IP address and a port, or sockets that systemd opened, by the name that
        /// `FileDescriptorName=` of the socket unit gives them. Sockets at the very address are taken over, too.
        address: ListenAddress as Socket = none, set "unix:/run/postroom/lmtp";
        /// The permissions of a Unix socket.
        mode: u32 as Mode = "0660", set "0660";
        /// The user that a Unix socket belongs to. Without it, the one that `serve` runs as.
        owner: Option<String> as Optional<Account> = none, shown "vmail";
        /// The group that a Unix socket belongs to, such as that of the MTA. Without it, the
        /// one that `serve` runs as.
        group: Option<String> as Optional<Account> = none, shown "postfix";
        /// Who may come to a TCP port: addresses and networks; others are told 554 5.7.1. Without it, this host and
        /// private networks (RFC 1918, RFC 4193, link-local) to LMTP and SMTP, and everybody to ManageSieve. For
        /// everybody write "0.0.0.0/0" and "::/0".
        allow: Option<Vec<Network>> as Optional<List<Peer>> = none, shown ["127.0.0.1", "::1", "192.0.2.0/24"];
        /// Peers whose word about others counts, in XCLIENT, XFORWARD and the PROXY protocol: addresses and networks, and
        /// "unix" for whoever may write to a Unix socket.
        trusted: Vec<Network> as List<Peer> = [], shown ["192.0.2.25"];
        /// Whether trusted peers are proxies, such as haproxy, that say first for whom they come (PROXY protocol,
        /// version 1 or 2). Other peers come for themselves.
        proxy: bool as Flag = false;
        /// With LMTP and SMTP, whether there is TLS, with the certificate of [tls]: offered by STARTTLS, demanded before
        /// any mail (RFC 3207 §4), or from the first byte on (RFC 8314 §3). A ManageSieve door offers it wherever
        /// there is a certificate.
        tls: ListenTls as OneOf<ListenTls> = "none";
    }
}

choice! {
    /// How a door for mail is protected.
    pub enum ListenTls {
        /// Not at all.
        None = "none",
        /// By STARTTLS, for those who want it.
        StartTls = "starttls",
        /// By STARTTLS, which is demanded.
        Required = "required",
        /// From the first byte on.
        Implicit = "implicit",
    }
}

choice! {
    /// The kinds of directories.
    pub enum Kinds {
        /// Domains, with any user or a list of them.
        Static = "static",
        /// A file.
        Table = "table",
        /// The system's accounts.
        Passwd = "passwd",
    }
}

section! {
    /// Who gets mail.
    pub(super) struct Who in "directory" {
        /// Where accounts come from: `static` takes users of `domains`; `table` reads `file`;
        /// `passwd` takes the system's accounts: `serve`, started as root, delivers to each as its
        /// owner (docs/SECURITY.md); `deliver` is run as that user.
        kind: Kinds as OneOf<Kinds> = "static", set "static";
        /// The domains whose mail is taken, the main one first. With `table`, those of names
        /// that are written without one.
        domains: Vec<String> as List<Domain> = [], set ["example.org"];
        /// With `static`, the users: a local part is a user of every domain. Without it, any
        /// local part is a user.
        users: Option<Vec<String>> as Optional<List<User>> = none, shown ["ann", "bob@example.org"];
        /// With `static`, the file of the passwords of users who log in: a line is `user:hash`. It is read
        /// when somebody logs in, and again when it changes. With `table` they stand in `file`.
        passwords: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/passwords";
        /// With `table`, the file that lists the accounts. It is read again when it changes.
        file: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/users.toml";
        /// With `table`, how the file is written; `auto` goes by its name, where `.toml` is
        /// TOML and anything else is like passwd(5).
        format: TableFormat as OneOf<TableFormat> = "auto";
        /// Signs each of which may stand between user and detail, as in `ann+lists`; the
        /// detail is for Sieve. The exact address is looked for first.
        delimiters: String as Delimiters = "+";
        /// Whether `Ann` and `ann` are two users. Domains are always matched without case.
        case_sensitive: bool as Flag = false;
        /// Who gets the mail of `postmaster` where no account has that name. Without it, with
        /// `static` and any user, the postmaster of the first domain.
        postmaster: Option<Address> as Optional<Mailbox> = none, shown "ann@example.org";
        /// With `passwd`, the least user id that gets mail; root never does.
        minimum_uid: u32 as UserId = 1000;
        /// The size of all messages of an account that has no quota of its own.
        quota: Option<u64> as QuotaBytes = "none", shown "1 GiB";
        /// The number of messages of an account that has no quota of its own.
        quota_messages: Option<u64> as QuotaMessages = "none", shown 100000;
    }
}

section! {
    /// Scripts of the site, and what users' scripts may do.
    pub struct SieveSettings in "sieve" {
        /// What evaluates scripts: postroom's own engine, or the crate sieve-rs in a postroom that is built with it
        /// (`--features sieve-rs`), for scripts that were written for Stalwart.
        engine: SieveEngine as OneOf<SieveEngine> = "postroom";
        /// Whether scripts are run at all; if not, all mail goes to INBOX.
        enabled: bool as Flag = true;
        /// Scripts that run before the user's, or folders of them in order of name.
        before: Vec<PathBuf> as List<PathTo> = [], set ["/etc/postroom/filters/before"];
        /// Scripts that run after the user's, or folders of them in order of name.
        after: Vec<PathBuf> as List<PathTo> = [], shown ["/etc/postroom/filters/after"];
        /// The script of users without one.
        default: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/filters/default.sieve";
        /// To how many addresses scripts may redirect or report one message; more is an error of the script.
        max_redirects: usize as Number = 4;
        /// The days of `vacation` without `:days`, in which a sender gets one reply.
        vacation_days: usize as Count = 7;
        /// The most days of `vacation`; more is taken for this.
        vacation_max_days: usize as Count = 365;
        /// The largest script, of users and of the site. One that is larger is not stored, and does not run.
        max_script_size: usize as Memory = "1 MiB";
        /// The most scripts that a user may store.
        max_scripts: usize as Count = 100;
        /// The size of all scripts that a user may store.
        quota: u64 as Size = "8 MiB";
        /// Header fields that scripts may neither add nor delete (RFC 5293). What a script may not do is not done, and is
        /// no error of it. Subject may always be changed; Received and Auto-Submitted are never deleted.
        editheader_protected: Vec<String> as List<FieldName> = [], shown ["X-Spam-Status", "Authentication-Results"];
        /// Header fields that scripts may delete, but not add.
        editheader_forbid_add: Vec<String> as List<FieldName> = [], shown ["X-Spam-Flag"];
        /// Header fields that scripts may add, but not delete.
        editheader_forbid_delete: Vec<String> as List<FieldName> = [], shown ["DKIM-Signature"];
        /// The longest header field that a script may add; more is an error of the script. At least 998 bytes count.
        editheader_max_size: usize as Memory = "8 KiB";
        /// Where the site's external lists lie (RFC 6134), a file for each, by its name: one entry a line, `#`
        /// begins a comment. Users have theirs in `sieve/lists` of the home; the site's come first.
        lists: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/lists";
    }
}

choice! {
    /// What evaluates scripts.
    pub enum SieveEngine {
        /// Our own engine.
        Postroom = "postroom",
        /// The crate sieve-rs.
        SieveRs = "sieve-rs",
    }
}

choice! {
    /// What scripts may run programs for.
    pub enum ProgramUse {
        /// To give them the message for good (`vnd.dovecot.pipe`).
        Pipe = "pipe",
        /// To have them change it (`vnd.dovecot.filter`).
        Filter = "filter",
        /// To ask them something (`vnd.dovecot.execute`).
        Execute = "execute",
    }
}

section! {
    /// Bounds of what one run of a script may take. A script that meets one ends with an error: its message is kept
    /// in INBOX, and its owner is told.
    pub struct SieveLimits in "sieve.limits" {
        /// The most commands and tests that are executed, with those of included scripts; comparing long values
        /// counts more.
        instructions: usize as Count = 100000;
        /// How long a script may run.
        run_time: Duration as Period = "10 s";
        /// How much processor time the scripts of one account may take within a minute.
        user_time: Duration as Period = "30 s";
        /// The most actions.
        actions: usize as Count = 64;
        /// How deep scripts may include one another.
        includes: usize as Count = 10;
        /// The most variables.
        variables: usize as Count = 200;
        /// The longest value of a variable; what is longer is cut.
        variable_size: usize as Memory = "64 KiB";
        /// The most MIME parts that are looked at.
        parts: usize as Count = 1000;
    }
}

section! {
    /// Scripts for one domain beside those of the site. Write the section once for each; the domain is that of an
    /// account's main address. Scripts run in this order: [sieve] `before`, the domain's `before`, the user's, the
    /// domain's `after`, [sieve] `after`.
    pub struct SieveDomain in "sieve.domain" repeated {
        /// The domain.
        name: String as Domain = none, set "example.org";
        /// Scripts that run before the user's, or folders of them in order of name.
        before: Vec<PathBuf> as List<PathTo> = [], shown ["/etc/postroom/filters/example.org/before"];
        /// Scripts that run after the user's, or folders of them in order of name.
        after: Vec<PathBuf> as List<PathTo> = [], shown ["/etc/postroom/filters/example.org/after"];
        /// The script of the domain's users without one, in place of the `default` of [sieve].
        default: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/filters/example.org/default.sieve";
    }
}

section! {
    /// Programs that scripts may run with a message on their standard input, as Dovecot's extprograms do.
    /// They run as the user that `serve` runs as, with HOME, USER, HOST, SENDER, RECIPIENT, ORIG_RECIPIENT
    /// and PATH as their environment, and without a shell.
    pub struct ProgramSettings in "sieve.programs" {
        /// Where the programs lie: plain files that nobody but their owner may write to. Without it, scripts
        /// run none.
        folder: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/programs";
        /// For which actions of scripts they are run.
        allow: Vec<ProgramUse> as List<OneOf<ProgramUse>> = ["pipe", "filter", "execute"];
        /// How long a program may run; then it is ended.
        timeout: Duration as Period = "10 s";
        /// How much a program may write to its standard output; at more it is ended.
        output: usize as Memory = "1 MiB";
    }
}

choice! {
    /// How a scanner writes what it found.
    pub enum ScanKind {
        /// A number.
        Score = "score",
        /// As many characters as it is bad.
        Length = "length",
        /// A word.
        Text = "text",
    }
}

section! {
    /// Where the tests `spamtest` and `spamtestplus` of scripts (RFC 5235) find what a scanner thought of a
    /// message. rspamd writes X-Spamd-Result, `header = 'X-Spamd-Result: \[(-?[0-9.]+) /'` with
    /// `max_header = 'X-Spamd-Result: / ([0-9.]+)\]'`, or stars: `header = "X-Spam-Level"` with kind = "length" and
    /// `max = 15`. SpamAssassin writes X-Spam-Status, as in the examples below.
    ///
    /// The server in front must take out such fields of others, or a sender says himself what he is.
    pub struct SpamHeaders in "sieve.spam" {
        /// The header field with the result, as the site's scanner writes it: its name alone, or a
        /// colon and a regular expression whose one group is what counts. Of several fields the
        /// topmost is looked at. Without it, `spamtest` answers that nothing was tested.
        header: Option<FieldPattern> as Optional<ScanField> = none, shown "X-Spam-Status: score=(-?[0-9.]+)";
        /// What the result is: a number, as many characters as it is bad, or one of the words of
        /// `values`.
        kind: ScanKind as OneOf<ScanKind> = "score";
        /// The number at which a message is as bad as can be.
        max: Option<Points> as Optional<Score> = none, shown 15;
        /// In place of `max`, the header field in which the scanner writes it, as in `header`.
        max_header: Option<FieldPattern> as Optional<ScanField> = none, shown "X-Spam-Status: required=([0-9.]+)";
        /// With kind = "text": what `spamtest` is, from 0 (not tested) and 1 (clean) to 10, and the
        /// word for it.
        values: Option<Vec<Verdict>> as Optional<List<ScanText>> = none, shown ["1 = No", "10 = Yes"];
    }
}

section! {
    /// The same for the test `virustest`. ClamAV by amavis writes X-Virus-Scanned, clamav-milter X-Virus-Status with
    /// the words Clean and Infected, as in the examples below.
    pub struct VirusHeaders in "sieve.virus" {
        /// The header field with the result, as the site's scanner writes it: its name alone, or a
        /// colon and a regular expression whose one group is what counts. Of several fields the
        /// topmost is looked at. Without it, `virustest` answers that nothing was tested.
        header: Option<FieldPattern> as Optional<ScanField> = none, shown "X-Virus-Status: ([A-Za-z]+)";
        /// What the result is: a number, as many characters as it is bad, or one of the words of
        /// `values`.
        kind: ScanKind as OneOf<ScanKind> = "text";
        /// The number at which a message is as bad as can be.
        max: Option<Points> as Optional<Score> = none, shown 5;
        /// In place of `max`, the header field in which the scanner writes it, as in `header`.
        max_header: Option<FieldPattern> as Optional<ScanField> = none, shown "X-Virus-Max: ([0-9]+)";
        /// With kind = "text": what `virustest` is, from 0 (not tested) and 1 (clean) to 5, and the
        /// word for it.
        values: Option<Vec<Verdict>> as Optional<List<ScanText>> = none, shown ["1 = Clean", "5 = Infected"];
    }
}

choice! {
    /// How the way to the submission server is protected.
    pub enum SubmissionTls {
        /// TLS where the server offers it, whatever its certificate.
        Opportunistic = "opportunistic",
        /// TLS with a certificate that is valid for the server's name, or no mail.
        Verify = "verify",
        /// No TLS.
        None = "none",
    }
}

section! {
    /// How redirects, vacation replies and notices leave: through a server or a program.
    /// With neither, a message that is to be redirected is deferred.
    pub(super) struct Submission in "submission" {
        /// The server that takes them by SMTP.
        server: Option<HostPort> as Optional<Server> = none, set "127.0.0.1:25";
        /// The program that takes them, in place of a server.
        sendmail: Option<PathBuf> as Optional<PathTo> = none, shown "/usr/sbin/sendmail";
        /// With a server, whether TLS is used: where it is offered, only with a valid
        /// certificate, or never.
        tls: SubmissionTls as OneOf<SubmissionTls> = "opportunistic";
        /// With `tls = "verify"`, the certificates that are trusted.
        ca_file: PathBuf as PathTo = "/etc/ssl/certs/ca-certificates.crt";
        /// How long one step of handing a message over may take.
        timeout: Duration as Period = "60 s";
        /// The sender of notices. Without it, the postmaster of `hostname`.
        notices_from: Option<Address> as Optional<Mailbox> = none, shown "postmaster@example.org";
        /// Who is named to the next server as the sender of what users redirect: `original` is the
        /// message's own, of which servers that check SPF may think ill; `recipient` is the user who
        /// redirects it, who then gets the bounces; `srs` is the original one, rewritten to an address in
        /// `srs_domain`; an address is that one for all. Bounces are redirected without any sender.
        redirect_sender: RedirectFrom as Sender = "original";
        /// The domain of senders that `srs` rewrites. Its mail must come to `postroom srs return`.
        srs_domain: Option<String> as Optional<Domain> = none, shown "srs.example.org";
        /// The file with the secret for `srs`, sixteen characters or more. All hosts of a site have the same.
        srs_secret_file: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/srs-secret";
    }
}

section! {
    /// Bounds of what is taken and how much at once.
    pub struct Limits in "limits" {
        /// The largest message.
        message_size: u64 as Size = "50 MiB";
        /// The most recipients of one message.
        recipients: usize as Count = 1000;
        /// The longest command line, its line end and the parameters of extensions included; 512 bytes count at least
        /// (RFC 5321 §4.5.3.1.4).
        command_line: usize as Memory = "4 KiB";
        /// The bad commands of a connection since its last message; with one more it is closed.
        errors: usize as Count = 20;
        /// The commands and refused recipients of a connection since its last message; with one more it is closed.
        commands_without_mail: usize as Count = 1000;
        /// The most connections at once; further ones are told to come later.
        connections: usize as Count = 1000;
        /// The most connections at once from one IPv4 address, or from one IPv6 network of 64 bits; further ones get
        /// 421 4.7.0. Those over Unix sockets are not counted.
        connections_per_peer: usize as Count = 500;
        /// The most deliveries that are carried out at once; others wait.
        deliveries: usize as Count = 64;
        /// The most deliveries at once for one account, so that one that is busy or locked leaves the rest to others.
        deliveries_per_account: usize as Count = 8;
        /// The most deliveries that wait for their turn; further ones get 451 4.3.0 at once.
        waiting: usize as Count = 1000;
        /// The most deliveries for one account that wait; further ones get 451 4.3.0 at once.
        waiting_per_account: usize as Count = 100;
        /// How long a delivery waits for its turn before it gets 451 4.3.0.
        wait: Duration as Period = "60 s";
        /// The most recipients that are looked up at once; others wait, and when eight times as many do, further ones
        /// get 451 4.3.0 at once.
        lookups: usize as Count = 32;
        /// How long a recipient may take to be looked up; then the reply is 451 4.3.0.
        lookup_timeout: Duration as Period = "30 s";
        /// How long a connection may be silent.
        idle_timeout: Duration as Period = "5 min";
        /// How long a transaction may take from MAIL until the message is complete; then the reply is 421 4.4.2. A stop
        /// waits no longer than this for a sender.
        transaction: Duration as Period = "10 min";
        /// The largest header of a message that is read; what is longer is not looked at.
        header: usize as Memory = "1 MiB";
        /// The most Received fields of a message; one with more is refused as a loop.
        hops: usize as Count = 100;
        /// How much of a message is held in memory; the rest is in a file.
        memory: usize as Memory = "256 KiB";
        /// How much of all messages together is held in memory; when it is used up, new ones go to files from their
        /// first byte on.
        memory_total: usize as Memory = "64 MiB";
    }
}

section! {
    /// The certificate that this server shows to users who log in, and to MTAs at doors with `tls`. A reload has all
    /// files read again, by `user` then; connections that are open keep what they were shown.
    pub(super) struct Tls in "tls" {
        /// The certificate with the chain behind it, as PEM.
        certificate: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/letsencrypt/live/mx.example.org/fullchain.pem";
        /// Its key, as PEM. At the start it is read before root's rights are given up.
        key: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/letsencrypt/live/mx.example.org/privkey.pem";
        /// Whether MTAs are asked for a certificate of theirs: never, without harm to who has none, or so that nobody
        /// comes without. Users who log in are not asked.
        client_certificates: ClientCertificates as OneOf<ClientCertificates> = "none";
        /// The authorities whose certificates clients may show, as PEM.
        client_ca: Option<PathBuf> as Optional<PathTo> = none, shown "/etc/postroom/clients-ca.pem";
        /// How long TLS may take to come about.
        handshake_timeout: Duration as Period = "30 s";
    }
}

choice! {
    /// Whether clients are asked for a certificate.
    pub enum ClientCertificates {
        /// No.
        None = "none",
        /// Yes, and who has none may come too.
        Optional = "optional",
        /// Yes, and who has none may not come.
        Required = "required",
    }
}

choice! {
    /// Where passwords may come without TLS.
    pub enum Plaintext {
        /// Over the loopback interface and Unix sockets.
        Loopback = "loopback",
        /// From everywhere.
        Always = "always",
        /// From nowhere.
        Never = "never",
    }
}

section! {
    /// How users change their scripts, at doors with `protocol = "managesieve"`. They log in with the passwords of
    /// [directory].
    pub struct ManageSieveSettings in "managesieve" {
        /// Where passwords are taken without TLS: from this host alone, always, or never.
        plaintext: Plaintext as OneOf<Plaintext> = "loopback";
        /// The most connections at once, beside those of [limits]; further ones are told to come later.
        connections: usize as Count = 200;
        /// How long a user who is logged in may be silent; RFC 5804 asks for half an hour at least.
        idle_timeout: Duration as Period = "30 min";
    }
}

section! {
    /// How mail is kept.
    pub struct StoreSettings in "store" {
        /// Whether mail is flushed to disk before it is answered for. `false` loses mail when
        /// the power fails; it is for tests only.
        fsync: bool as Flag = true;
        /// The Maildir, below the home; `.` where the home is the Maildir.
        maildir: PathBuf as HomeFolder = "Maildir";
        /// What stands between the levels of a mailbox name, as users write it.
        separator: char as Separator = ".";
        /// Where indexes lie when not in the homes: a folder on a local disk, for homes on
        /// a network file system.
        index_root: Option<PathBuf> as Optional<PathTo> = none, shown "/var/lib/postroom/index";
        /// Where messages wait that do not fit in memory. Without it, the system's folder for
        /// temporary files.
        spool: Option<PathBuf> as Optional<PathTo> = none, shown "/var/spool/postroom";
        /// How long messages that are expunged or removed can be brought back by `postroom message
        /// undelete`, also those of mailboxes that are deleted; they count for no quota meanwhile.
        /// What other programs remove is gone. With `none` it all goes at once, also what was kept
        /// before.
        keep_expunged: Option<Duration> as Lasting = "none", shown "14 days";
        /// Whether messages are entered in `dovecot-uidlist`, under Dovecot's lock, so that a Dovecot
        /// on the same Maildirs and the index name each message by the same UID. Where the lock cannot
        /// be had within a second, a delivery goes in without a UID and is numbered later.
        dovecot_uidlist: bool as Flag = false;
        /// How many accounts are held open; each takes three open files and a quarter of a megabyte of memory.
        open_accounts: usize as Count = 400;
        /// The permissions of folders that are created.
        folder_mode: u32 as Mode = "0700";
        /// The permissions of files that are created.
        file_mode: u32 as Mode = "0600";
    }
}

section! {
    /// The mailboxes of new accounts.
    pub struct MailboxSettings in "mailboxes" {
        /// The mailboxes that an account gets beside INBOX when it is made. Drafts, Junk, Sent, Trash
        /// and Archive are marked as what they are for (RFC 6154). Without any, as with Dovecot, mail
        /// programs and filters make what they need.
        create: Vec<MailboxName> as List<NewMailbox> = [], shown ["Drafts", "Junk", "Sent", "Trash", "Archive"];
        /// Whether the account is subscribed to INBOX and to these.
        subscribe: bool as Flag = true;
    }
}

section! {
    /// Searching.
    pub struct SearchSettings in "search" {
        /// Whether words are indexed, behind the deliveries, so that a search for text need not read
        /// all messages. It takes about a tenth of the size of the mail, in `fulltext.sqlite` beside
        /// the index.
        fulltext: bool as Flag = true;
    }
}

section! {
    /// What became of each delivery, for `postroom explain`.
    pub struct HistorySettings in "history" {
        /// How long it is remembered, in the index of each account; `none` for not at all. Each delivery takes
        /// about 300 bytes.
        keep: Option<Duration> as Lasting = "30 d";
        /// Of how many deliveries to an account it is remembered at most.
        entries: usize as Count = 10000;
    }
}

choice! {
    /// When a message gets a Delivered-To field.
    pub enum DeliveredTo {
        /// When it has one recipient.
        Single = "single",
        /// Always.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

choice! {
    /// What becomes of a message for an account that is full.
    pub enum OverQuota {
        /// It is refused for good: 552 5.2.2.
        Refuse = "refuse",
        /// It is to be tried again: 452 4.2.2.
        Defer = "defer",
    }
}

section! {
    /// What a delivery does beside the filter.
    pub struct DeliverySettings in "delivery" {
        /// When a message gets a Delivered-To field: with one recipient, so that none learns
        /// of another, always, or never.
        delivered_to: DeliveredTo as OneOf<DeliveredTo> = "single";
        /// What becomes of a message for an account that is full: `refuse` tells the sender at
        /// once (552), `defer` has the MTA try again (452).
        over_quota: OverQuota as OneOf<OverQuota> = "refuse";
        /// Whether `fileinto` makes a mailbox that is missing where the script does not say
        /// `:create`, as Dovecot does with `lda_mailbox_autocreate = yes`. If not, the message
        /// goes to INBOX, and its owner is told.
        create_mailboxes: bool as Flag = false;
    }
}

section! {
    /// What else there is to quotas. The limits themselves are `quota` and `quota_messages` of
    /// [directory], or stand in its table.
    pub(super) struct QuotaMain in "quota" {
        /// Whether accounts with a quota get a `maildirsize` file (Maildir++), which Courier and
        /// others read. Where there is one, it is kept up in any case.
        maildirsize: bool as Flag = false;
    }
}

section! {
    /// How a mailbox counts. Write the section once for each; the first whose name matches
    /// counts, behind the rules of the account's own.
    pub struct QuotaMailbox in "quota.mailbox" repeated {
        /// Which: a name, or the beginning of names with an asterisk, as in `Lists.*` (the
        /// children of Lists) or `Lists*` (Lists too).
        name: MailboxPattern as Mailboxes = none, set "Trash";
        /// How much higher than the quota the limit is for what goes there, as Dovecot has it
        /// with `quota_rule = Trash:storage=+10%`.
        extra: Option<Extra> as Optional<ExtraBytes> = none, set "10%";
        /// As `extra`, for the number of messages.
        extra_messages: Option<Extra> as Optional<ExtraMessages> = none, shown 100;
        /// Whether what lies there does not count at all.
        ignore: bool as Flag = false;
    }
}

section! {
    /// What happens when an account fills up. Write the section once for each threshold and
    /// deed. It happens once each time the threshold is reached, behind the delivery that
    /// reached it.
    pub struct QuotaWarning in "quota.warning" repeated {
        /// The threshold.
        at: u32 as Percent = none, set "90%";
        /// Of which quota.
        of: QuotaUnit as OneOf<QuotaUnit> = "bytes";
        /// Whether it happens when the account falls below the threshold again; that is seen at
        /// the next delivery, or by `quota recalculate`.
        below: bool as Flag = false;
        /// Whether the user gets a message, in INBOX. Of several thresholds that are reached at
        /// once, only the highest makes one.
        message: bool as Flag = true;
        /// The program that is run, with its arguments and without a shell; `{user}`,
        /// `{percent}`, `{used}` and `{limit}` are replaced, and USER, PERCENT, USED and LIMIT
        /// stand in its environment. After a minute it is ended.
        command: Vec<String> as List<Word> = [], shown ["/usr/local/bin/quota-warning", "{user}", "{percent}"];
    }
}

section! {
    /// How long messages stay in a mailbox. Write the section once for each; of several that match a mailbox the
    /// first counts. They are removed by `postroom expire --all --execute`, which a timer may run each day, and by
    /// nothing else.
    pub struct ExpireRule in "expire" repeated {
        /// Which: a name, or the beginning of names with an asterisk, as in `Lists.*` (the
        /// children of Lists) or `Lists*` (Lists too).
        mailbox: MailboxPattern as Mailboxes = none, set "Trash";
        /// The age at which a message goes, counted from when it came into this mailbox (SAVEDATE,
        /// RFC 8514) and not from when it was delivered.
        after: Duration as Age = none, set "30 days";
    }
}

section! {
    /// What the running server may still do once it serves; docs/SECURITY.md tells of it. Its files are then those below
    /// `root`, `roots` and [store] `index_root`, and what the configuration names; it runs no programs, which a helper does
    /// for it. A reload cannot widen that: for another root, another folder of scripts or another program, restart.
    pub struct ConfinementSettings in "confinement" {
        /// How much: `auto` is all that the kernel has, by Landlock and seccomp, and a warning where it lacks some;
        /// with `required` the server does not start then; `off` is nothing.
        mode: Confine as OneOf<Confine> = "auto";
        /// The folders beside `root` below which homes lie that the table of accounts names, or the system where its
        /// accounts get mail. A home elsewhere, or a link that leads elsewhere, gets no mail: it is deferred, and the log
        /// says so.
        roots: Vec<PathBuf> as List<PathTo> = [], shown ["/srv/mail"];
    }
}

section! {
    /// The log.
    pub(super) struct Log in "log" {
        /// How lines are written: `auto` is the journal where standard error leads there, and
        /// `human` otherwise.
        format: Format as OneOf<Format> = "auto";
        /// The least grave thing that is written. The line of each delivery is `info`.
        level: Level as OneOf<Level> = "info";
    }
}

impl Choice for TableFormat {
    const WORDS: &'static [(&'static str, TableFormat)] = &[
        ("auto", TableFormat::Auto),
        ("toml", TableFormat::Toml),
        ("passwd", TableFormat::Passwd),
    ];
}

impl Choice for QuotaUnit {
    const WORDS: &'static [(&'static str, QuotaUnit)] =
        &[("bytes", QuotaUnit::Bytes), ("messages", QuotaUnit::Messages)];
}

impl Choice for Confine {
    const WORDS: &'static [(&'static str, Confine)] = &[
        ("auto", Confine::Auto),
        ("required", Confine::Required),
        ("off", Confine::Off),
    ];
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Format)] = &[
        ("auto", Format::Auto),
        ("human", Format::Human),
        ("json", Format::Json),
        ("journald", Format::Journald),
    ];
}

impl Choice for Level {
    const WORDS: &'static [(&'static str, Level)] = &[
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
}
