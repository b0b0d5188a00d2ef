#!/usr/bin/env python3
"""POP3 (RFC 1939) on standard input and output, out of the views of postroom's index; it only reads.

    pop3.py HOME [MAILDIR [INDEX]]      by default HOME/Maildir and HOME/index.sqlite

There is no login, and no DELE: to delete is to remove the file. docs/INDEX.md explains the views and the cards.
"""
import io
import pathlib
import sqlite3
import sys
import zlib


def fields(text):  # Each is a name, a space, the number of its bytes, LF, the bytes, LF.
    while text:
        name, length = text.split(b"\n", 1)[0].decode().split(" ")
        start = len(name) + len(length) + 2
        yield name, text[start : start + int(length)]
        text = text[start + int(length) + 1 :]


def header(uid):  # Opens no message. Cards are compressed many together; `slot` says which is meant.
    query = "SELECT cards, slot FROM messages WHERE mailbox = 'INBOX' AND uid = ?"
    cards, slot = index.execute(query, (uid,)).fetchone()
    return dict(fields(list(fields(zlib.decompress(cards)))[slot][1])).get("header", b"")


def message(path):
    file = maildir / path
    if not file.exists():  # It was read or flagged meanwhile. The name before the colon stays.
        base = file.name.split(":")[0]
        file = next(it for part in ("new", "cur") for it in (maildir / part).iterdir() if it.name.split(":")[0] == base)
    data = file.read_bytes()
    if data.startswith(b"\x1f\x8b\x08"):  # Dovecot compresses under the usual names.
        data = zlib.decompress(data, 31)
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")  # `size` counts these bytes.


def answer(command, number=None, lines=None):
    """The words behind +OK, and what follows; KeyError where there is no such message."""
    column = {"LIST": "size", "UIDL": "uidl"}.get(command)
    if command == "STAT":
        return f"{len(messages)} {sum(row['size'] for row in messages.values())}", None
    if column and number:
        return f"{number} {messages[number][column]}", None
    if column:
        return "", "".join(f"{number} {row[column]}\r\n" for number, row in messages.items()).encode()
    if command == "RETR":
        return "", message(messages[number]["path"])
    if command == "TOP":
        head = header(messages[number]["uid"])
        body = message(messages[number]["path"])[len(head) :] if int(lines) else b""
        return "", head + b"".join(io.BytesIO(body).readlines()[: int(lines)])
    return ("", None) if command in ("NOOP", "QUIT") else messages[command]


home = pathlib.Path(sys.argv[1])
maildir = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else home / "Maildir"
database = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else home / "index.sqlite"
index = sqlite3.connect(database.absolute().as_uri() + "?mode=ro", uri=True, timeout=10)
index.row_factory = sqlite3.Row
if index.execute("PRAGMA user_version").fetchone()[0] < 2:
    sys.exit("this index has no views yet: run `postroom index check USER` once")
# One statement sees one moment: what comes later has no number in this session (RFC 1939 §3).
rows = index.execute("SELECT uid, uidl, size, path FROM messages WHERE mailbox = 'INBOX' ORDER BY uid").fetchall()
messages = {str(number): row for number, row in enumerate(rows, 1)}
sys.stdout.buffer.write(b"+OK postroom's mail\r\n")
for line in sys.stdin:
    command, *arguments = line.split() or [""]
    try:
        words, text = answer(command.upper(), *arguments)
        reply = f"+OK {words}".rstrip().encode() + b"\r\n"
        if text is not None:  # RFC 1939 §3: a dot that begins a line is doubled.
            text = text if text.endswith(b"\n") or not text else text + b"\r\n"
            reply += (b"\n" + text).replace(b"\n.", b"\n..")[1:] + b".\r\n"
    except (KeyError, TypeError, ValueError, StopIteration, OSError):
        reply = b"-ERR no such message or command\r\n"
    sys.stdout.buffer.write(reply)
    sys.stdout.buffer.flush()
    if command.upper() == "QUIT":
        break
