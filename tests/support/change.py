"""change.py PORT USER PASSWORD: over IMAP, flags the first message of INBOX, moves the second to Archive,
expunges the third and appends one."""

import imaplib
import sys

port, user, password = sys.argv[1:]
server = imaplib.IMAP4("127.0.0.1", int(port), timeout=60)


def must(answer):
    assert answer[0] == "OK", answer


must(server.login(user, password))
must(server.create("Archive"))
must(server.select("INBOX"))
_, found = server.uid("SEARCH", None, "ALL")
first, second, third = found[0].split()[:3]
must(server.uid("STORE", first, "+FLAGS", r"(\Flagged \Seen $Done)"))
must(server.uid("STORE", third, "+FLAGS", r"(\Deleted)"))
must(server.uid("MOVE", second, "Archive"))
must(server.expunge())
date = '"02-Jan-2020 03:04:05 +0000"'
must(server.append("INBOX", r"(\Answered)", date, b"Subject: appended\r\n\r\nby IMAP\r\n"))
server.logout()
