"""What tests/bench sends, by Postfix's smtp-source where it can and by load.rs where not; and the bare loop of disk.rs.

smtp-source speaks LMTP without pipelining and tells no latencies; of addresses it knows one, numbered ones for the
recipients of a message (-r), and numbered ones that go on from message to message (-N). It is a program of its own that
shares the processors with the server, as load.rs does.
"""

import dataclasses
import functools
import json
import os
import subprocess
import time

from peers import tool

# An MTA's message of a size is header and body; smtp-source counts the body alone.
HEADER = 300


@dataclasses.dataclass(frozen=True)
class Load:
    """One kind of load. With `users` messages go to so many accounts in turn, which exist and are open (or, with
    `fresh`, of which each is new); else to one account, or to so many `recipients` each."""

    sessions: int
    size: int
    users: int = 1
    recipients: int = 1
    fresh: bool = False


def pour(server, load, messages, to="user"):
    """Sends so many messages by smtp-source; answers how many seconds it took."""
    command = ["smtp-source", "-4", "-L", "-d", "-M", "client.example.net", "-f", "load@example.net"]
    command += ["-t", f"{to}@example.org", "-l", str(max(1, load.size - HEADER))]
    command += ["-s", str(min(load.sessions, messages)), "-m", str(messages)]
    command += ["-r", str(load.recipients)] if load.recipients > 1 else []
    command += ["-N"] if load.users > 1 else []
    begun = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{server.port}"], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def round_of(server, load, seconds, most):
    """A round by smtp-source of about so many seconds, and of `most` bytes, with all accounts open before it begins
    (unless they are to be new); copies a second, and microseconds of processor time a copy."""
    if load.fresh:
        pour(server, Load(load.sessions, load.size), 4 * load.sessions, to="warm")
        rounds, messages = 1, load.users
    elif load.users > 1:
        rounds, messages = None, load.users
        pour(server, load, messages)
    else:
        first = max(load.sessions, min(64 // load.recipients, most // load.size // 8))
        pour(server, load, first)
        rate = first / pour(server, load, first)
        rounds, messages = 1, max(first, int(min(rate * seconds, most / load.size / load.recipients)))
    before, took, sent = server.used(), 0.0, 0
    while sent == 0 or (rounds is None and took < seconds):
        took += pour(server, load, messages)
        sent += messages * load.recipients
    after = server.used()
    user, kernel = (1e6 * (new - old) / sent for new, old in zip(after, before))
    return {"rate": sent / took, "user": user, "kernel": kernel, "messages": sent}


@functools.cache
def program(name):
    return tool(name)


def told(name, first, numbers):
    """What load.rs or disk.rs says."""
    words = [f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in numbers.items()]
    out = subprocess.run([program(name), first, *words], stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(out)
    result["rate"] = result["messages"] / result["seconds"]
    return result


def own(server, **numbers):
    """A round by load.rs; the names are those of its table."""
    return told("load", f"127.0.0.1:{server.port}", numbers)


def bare(place, **numbers):
    """A round of disk.rs in a new folder; the names are those of its table."""
    os.makedirs(place, exist_ok=True)
    return told("disk", place, numbers)
