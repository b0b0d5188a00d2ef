"""fetch.py PORT USER PASSWORD MAILBOX: sends the IMAP commands of standard input, one on a line, and prints as JSON
the untagged answers to each, with a status. Bytes are printed as Latin-1 text, one character for each.
"""

import json
import re
import socket
import sys

port, user, password, mailbox = sys.argv[1:]
connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
stream = connection.makefile("rb")


def answer(command):
    connection.sendall(b"x " + command.encode() + b"\r\n")
    text = b""
    while True:
        line = stream.readline()
        assert line, "Dovecot hung up"
        if line.startswith(b"x "):
            return {"status": line[2:].decode("latin-1").strip(), "text": text.decode("latin-1")}
        text += line
        while literal := re.search(rb"\{(\d+)\}\r\n$", line):
            text += stream.read(int(literal.group(1)))
            line = stream.readline()
            text += line


stream.readline()
answer(f"LOGIN {user} {password}")
answer(f'EXAMINE "{mailbox}"')
print(json.dumps([answer(line.strip()) for line in sys.stdin if line.strip()]))
