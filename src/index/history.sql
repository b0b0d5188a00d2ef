-- What became of each delivery, kept for some days. Nothing refers to it and it has no index, so that a delivery adds
-- to the end of two tables and to nothing else: whoever asks reads all of it.
CREATE TABLE history (
    id           INTEGER PRIMARY KEY,            -- ascends; the lowest go first
    delivery     TEXT NOT NULL,                  -- delivery id; each recipient of one account has a row
    queue_id     TEXT,                           -- of the MTA that handed it over
    time         INTEGER NOT NULL,               -- seconds since 1970
    reverse_path TEXT NOT NULL,                  -- '' for the null sender
    recipient    TEXT NOT NULL,
    original     TEXT,                           -- the recipient before aliases
    message_id   TEXT,                           -- without angle brackets, in the form in which ids are compared
    size         INTEGER NOT NULL,               -- bytes as received
    ending       TEXT NOT NULL,                  -- 'delivered', 'before', 'refused', 'deferred'
    reason       TEXT                            -- of 'before' the earlier delivery id, else words
) STRICT;

CREATE TABLE history_action (
    history INTEGER NOT NULL,                    -- history.id
    number  INTEGER NOT NULL,                    -- from 0, in order
    action  TEXT NOT NULL,                       -- 'keep', 'fileinto', 'redirect', ...
    target  TEXT,                                -- mailbox, address, method, program; words of a reject, error, remark
    uid     INTEGER,                             -- of a copy in a mailbox
    script  TEXT,
    line    INTEGER,
    result  TEXT NOT NULL,                       -- 'done', 'failed', 'withheld'
    reason  TEXT,                                -- why it failed or was withheld
    PRIMARY KEY (history, number)
) STRICT, WITHOUT ROWID;
