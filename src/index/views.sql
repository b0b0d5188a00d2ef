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

CREATE VIEW messages AS
SELECT mailbox.name AS mailbox,
       message.uid,
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
       'E' || lower(hex(content.emailid)) AS emailid,
       printf('T%016x', content.threadid) AS threadid,
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
       coalesce(content.slot, 0) AS slot
FROM message
    JOIN mailbox ON mailbox.id = message.mailbox
    JOIN content ON content.id = message.content
    LEFT JOIN pack ON pack.id = content.pack;

CREATE VIEW vanished AS
SELECT mailbox.name AS mailbox, expunged.uid, expunged.modseq
FROM expunged JOIN mailbox ON mailbox.id = expunged.mailbox;
