-- For programs that only read. These views stay as they are when the tables below them change;
-- docs/INDEX.md explains every column.

CREATE VIEW mailboxes AS
SELECT name,
       folder,
       mailboxid,
       special_use,
       EXISTS (SELECT 1 FROM subscription WHERE subscription.name = mailbox.name) AS subscribed,
       uidvalidity,
       uidnext,
       highestmodseq,
       messages,
       unseen,
       deleted,
       size
FROM mailbox;

-- The joins below are LEFT ones, though every message has its content: then SQLite leaves out
-- those of which no column was asked for, and a listing of flags reads one table.
CREATE VIEW messages AS
SELECT mailbox.name AS mailbox,
       mailbox.uidvalidity,
       message.uid,
       printf('%08x%08x', message.uid, mailbox.uidvalidity) AS uidl,
       message.modseq,
       message.flags & 1 <> 0 AS answered,
       message.flags & 2 <> 0 AS flagged,
       message.flags & 4 <> 0 AS deleted,
       message.flags & 8 <> 0 AS seen,
       message.flags & 16 <> 0 AS draft,
       message.keywords,
       message.internaldate,
       message.savedate,
       message.size,
       iif(content.emailid = x'', NULL, 'E' || lower(hex(content.emailid))) AS emailid,
       iif(content.emailid = x'', NULL, printf('T%016x', content.threadid)) AS threadid,
       mailbox.folder || iif(mailbox.folder = '', '', '/') || iif(message.place = 0, 'new/', 'cur/')
           || iif(message.base LIKE '%/',
                  rtrim(message.base, '/') || ',W=' || message.size || ',U=' || message.uid || ',V=' || mailbox.uidvalidity,
                  message.base)
           || CASE
                  WHEN message.letters LIKE '/%' THEN substr(message.letters, 2)
                  WHEN message.place = 0 AND message.letters = '' THEN ''
                  ELSE ':2,' || message.letters
              END AS path,
       coalesce(pack.cards, content.card) AS cards,
       coalesce(content.slot, 0) AS slot,
       content.pack
FROM message
    JOIN mailbox ON mailbox.id = message.mailbox
    LEFT JOIN content ON content.id = message.content
    LEFT JOIN pack ON pack.id = content.pack;

CREATE VIEW vanished AS
SELECT mailbox.name AS mailbox, expunged.uid, expunged.modseq
FROM expunged JOIN mailbox ON mailbox.id = expunged.mailbox;

-- LSUB: also names of mailboxes that are not there (any more).
CREATE VIEW subscriptions AS
SELECT name FROM subscription;

-- What became of deliveries; the actions of one have its entry.
CREATE VIEW deliveries AS
SELECT id AS entry, delivery, queue_id, time, reverse_path, recipient, original, message_id, size, ending, reason
FROM history;

CREATE VIEW delivery_actions AS
SELECT history AS entry, number, action, target, uid, script, line, result, reason
FROM history_action;
