-- Schema of fulltext.sqlite: which words are in which messages. A cache: docs/SEARCH.md.

-- What is known, so that the rest can be caught up.
CREATE TABLE message (
    id    INTEGER PRIMARY KEY,                   -- rowid in the three below
    email BLOB NOT NULL UNIQUE                   -- EMAILID: half the SHA-256 of the stored bytes
) STRICT;

-- The words of the header, the body, the attachments' names. They come divided and folded,
-- each once; the tokenizer `ascii` only takes them apart at the spaces again. Nothing asks
-- where a word stands, so that is not kept.
CREATE VIRTUAL TABLE header_words USING fts5 (words, content = '', contentless_delete = 1, detail = none, tokenize = ascii);
CREATE VIRTUAL TABLE body_words USING fts5 (words, content = '', contentless_delete = 1, detail = none, tokenize = ascii);
CREATE VIRTUAL TABLE name_words USING fts5 (words, content = '', contentless_delete = 1, detail = none, tokenize = ascii);

-- Their terms, one a row, in order.
CREATE VIRTUAL TABLE header_terms USING fts5vocab (header_words, row);
CREATE VIRTUAL TABLE body_terms USING fts5vocab (body_words, row);
CREATE VIRTUAL TABLE name_terms USING fts5vocab (name_words, row);

-- All words once more, in a form that is searched for parts of words: a line feed before
-- and behind each. A word may be in several rows.
CREATE TABLE vocabulary (
    id    INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,                      -- how often it was merged
    words BLOB NOT NULL
) STRICT;
CREATE INDEX vocabulary_level ON vocabulary (level);

-- Messages removed since the vocabulary was last made anew.
CREATE TABLE removed (messages INTEGER NOT NULL) STRICT;
INSERT INTO removed VALUES (0);

-- How far it has come with its index: the number of the last content that was entered, and the
-- last row here whose message was looked for there. The numbers hold for one index, whose name
-- this is. `entered` messages came or went since the words were last tidied up.
CREATE TABLE progress (
    epoch   TEXT NOT NULL,
    content INTEGER NOT NULL,
    swept   INTEGER NOT NULL,
    entered INTEGER NOT NULL
) STRICT;
INSERT INTO progress VALUES ('', 0, 0, 0);
