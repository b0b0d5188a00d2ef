-- Schema 3 of index.sqlite: one database for each account, with history.sql. docs/INDEX.md explains it, and says
-- what of it can be made anew from the Maildir.

-- Facts about the index itself: 'boot' is the kernel's boot id under which it was last opened.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,        -- levels joined by '.'
    folder          TEXT NOT NULL,               -- below the Maildir: '' for INBOX, else as '.Archive.2026'
    mailboxid       TEXT NOT NULL UNIQUE,        -- RFC 8474
    special_use     TEXT,                        -- RFC 6154, without the backslash
    uidvalidity     INTEGER NOT NULL,            -- two folders taken over from Dovecot may share one
    uidnext         INTEGER NOT NULL,
    highestmodseq   INTEGER NOT NULL,
    uids_reserved   INTEGER NOT NULL,            -- as in the file postroom-mailbox
    modseqs_reserved INTEGER NOT NULL,
    messages        INTEGER NOT NULL DEFAULT 0,
    unseen          INTEGER NOT NULL DEFAULT 0,
    deleted         INTEGER NOT NULL DEFAULT 0,
    size            INTEGER NOT NULL DEFAULT 0,  -- bytes, all lines ending in CRLF
    new_stamp       INTEGER NOT NULL DEFAULT 0,  -- directory times (ns) at the last reconcile;
    cur_stamp       INTEGER NOT NULL DEFAULT 0   -- 0: not to be trusted
) STRICT;

-- Hot: what a listing of flags and a reconcile read.
CREATE TABLE message (
    mailbox      INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
    uid          INTEGER NOT NULL,
    modseq       INTEGER NOT NULL,
    flags        INTEGER NOT NULL,               -- bits: 1 answered 2 flagged 4 deleted 8 seen 16 draft
    keywords     TEXT NOT NULL,                  -- separated by spaces
    internaldate INTEGER NOT NULL,               -- seconds since 1970
    savedate     INTEGER NOT NULL,               -- RFC 8514, seconds since 1970
    size         INTEGER NOT NULL,               -- bytes, all lines ending in CRLF (RFC822.SIZE)
    place        INTEGER NOT NULL,               -- 0 new/, 1 cur/
    base         TEXT NOT NULL,                  -- file name before the flags; a '/' at its end is ',W=,U=,V='
    letters      TEXT NOT NULL,                  -- the letters behind ':2,', or '/' and another ending
    content      INTEGER NOT NULL REFERENCES content (id),
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_content ON message (content);
-- What a reconcile compares where only new/ changed.
CREATE INDEX message_new ON message (mailbox) WHERE place = 0;

-- Cold: what is read for the messages on the screen. One row for all copies of the same bytes.
CREATE TABLE content (
    id          INTEGER PRIMARY KEY,
    emailid     BLOB NOT NULL,                   -- 16 bytes; empty: the file is still to be read
    threadid    INTEGER NOT NULL,
    message_key INTEGER,                         -- the first 6 bytes of the SHA-256 of the Message-ID
    card        BLOB,                            -- a compressed card; null where it is in a pack
    pack        INTEGER REFERENCES pack (id),
    slot        INTEGER                          -- which card of the pack
) STRICT;
CREATE INDEX content_emailid ON content (emailid);
CREATE INDEX content_message_key ON content (message_key) WHERE message_key IS NOT NULL;
CREATE INDEX content_unpacked ON content (id) WHERE pack IS NULL;

-- Many cards compressed together.
CREATE TABLE pack (
    id    INTEGER PRIMARY KEY,
    held  INTEGER NOT NULL,                      -- cards it was made of
    live  INTEGER NOT NULL,                      -- those that are still wanted
    cards BLOB NOT NULL
) STRICT;

-- UIDs that are gone (RFC 7162).
CREATE TABLE expunged (
    mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
    uid     INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

-- Names of mailboxes that are subscribed to, as the file 'subscriptions' had them last.
CREATE TABLE subscription (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What was already done for a message that may be sent again: one row a step.
CREATE TABLE step (
    redelivery INTEGER NOT NULL,                 -- the key in the file name
    step       TEXT NOT NULL,                    -- 'done', 'in <uidvalidity or mailboxid>', 'redirect <address>'
    delivery   TEXT NOT NULL,                    -- the delivery id of the first time
    tried      INTEGER NOT NULL,                 -- seconds since 1970 of the last try
    PRIMARY KEY (redelivery, step)
) STRICT, WITHOUT ROWID;

-- What is remembered until a time: vacation replies, ids of `duplicate`, notices,
-- senders of deliveries to accounts with a quota, thresholds of it that were reached.
CREATE TABLE memory (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    until INTEGER NOT NULL,                      -- seconds since 1970
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
