"""read_back.py imap|pop3 PORT USER PASSWORD MAILBOX: prints the messages of a mailbox as JSON.

Bytes are printed as Latin-1 text, one character for each.
"""

import imaplib
import json
import poplib
import re
import sys

protocol, port, user, password, mailbox = sys.argv[1:]
poplib._MAXLINE = 10_000_000  # The library's own limit is 2,048 bytes.
imaplib._MAXLINE = 10_000_000


def by_imap():
    server = imaplib.IMAP4("127.0.0.1", int(port), timeout=60)
    server.login(user, password)
    status, answer = server.select(f'"{mailbox}"', readonly=True)
    assert status == "OK", answer
    uidvalidity = int(server.response("UIDVALIDITY")[1][0])
    _, found = server.uid("SEARCH", None, "ALL")
    messages = []
    for uid in found[0].split():
        _, answer = server.uid("FETCH", uid, "(FLAGS BODY.PEEK[])")
        words, body = next(part for part in answer if isinstance(part, tuple))
        # FLAGS may stand before the literal or after it.
        rest = b"".join(part for part in answer if isinstance(part, bytes))
        flags = re.search(rb"FLAGS \(([^)]*)\)", words + rest).group(1).decode().split()
        messages.append({"uid": int(uid), "flags": flags, "bytes": body.decode("latin-1")})
    server.logout()
    return {"uidvalidity": uidvalidity, "messages": messages}


def by_pop3():
    server = poplib.POP3("127.0.0.1", int(port), timeout=60)
    server.user(user)
    server.pass_(password)
    messages = []
    for number in range(1, server.stat()[0] + 1):
        body = b"".join(line + b"\r\n" for line in server.retr(number)[1])
        messages.append({"uid": number, "flags": [], "bytes": body.decode("latin-1")})
    server.quit()
    return {"messages": messages}


print(json.dumps(by_imap() if protocol == "imap" else by_pop3()))
