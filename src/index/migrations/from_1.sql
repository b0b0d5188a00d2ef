-- Takes over what an index of schema 1 holds. Its tables are called old_* here.
-- Schema 1 had no cards: an empty EMAILID says that the file is still to be read. It did not say the
-- folder either: a directory time that is not to be trusted has the next reconcile fill it in.

INSERT INTO fact (name, value) SELECT name, value FROM old_fact;

INSERT INTO mailbox (id, name, folder, mailboxid, uidvalidity, uidnext, highestmodseq, uids_reserved, modseqs_reserved,
                     messages, unseen, deleted, size, new_stamp, cur_stamp)
SELECT id, name, '', mailboxid, uidvalidity, uidnext, highestmodseq, uids_reserved, modseqs_reserved, messages, unseen,
       (SELECT count(*) FROM old_message WHERE old_message.mailbox = old_mailbox.id AND flags & 4), size, 0, 0
FROM old_mailbox;

INSERT INTO content (id, emailid, threadid) SELECT content, x'', 0 FROM old_message;

INSERT INTO message (mailbox, uid, modseq, flags, keywords, internaldate, savedate, size, place, base, letters, content)
SELECT mailbox, uid, modseq, flags, keywords, internaldate, internaldate, size, place, base, letters, content
FROM old_message;

INSERT INTO expunged (mailbox, uid, modseq) SELECT mailbox, uid, modseq FROM old_expunged;
INSERT INTO step (redelivery, step, delivery, tried) SELECT redelivery, step, delivery, tried FROM old_step;
INSERT INTO memory (kind, id, until) SELECT kind, id, until FROM old_memory;
