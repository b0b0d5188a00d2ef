"""The servers that tests/bench measures, as private instances, and what the kernel knows of their processes.

Used by run, slopes, hostile and mailbox. A server is a context manager: it is started, answers, and is ended by its own
process id.
"""

import contextlib
import datetime
import functools
import os
import platform
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
USER = pwd.getpwnam("mail")
KIB, MIB = 1024, 1024 * 1024
TICK = os.sysconf("SC_CLK_TCK")


def built(given=None):
    """The release binary: the one that was given, else it is made."""
    if given:
        return os.path.abspath(given)
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=TOP, check=True)
    return os.path.join(TARGET, "release", "postroom")


def tool(name):
    """A program of this folder, compiled."""
    path = os.path.join(TARGET, f"bench-{name}")
    os.makedirs(TARGET, exist_ok=True)
    subprocess.run(["rustc", "--edition", "2024", "-O", "-o", path, os.path.join(HERE, f"{name}.rs")], check=True)
    return path


@contextlib.contextmanager
def folder(name, below=None, keep=False):
    """A new folder on a disk that the user mail may pass through; it is removed at the end."""
    path = tempfile.mkdtemp(prefix=f"postroom-{name}-", dir=below or "/var/tmp")
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


def machine(place):
    """On what all this was measured, in a line."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    kind = subprocess.run(["df", "--output=fstype", place], stdout=subprocess.PIPE, text=True, check=True).stdout
    return (f"{datetime.date.today()}: {os.cpu_count()} x {cpu}, Linux {platform.release()}, {kind.split()[-1]}; "
            f"load average at the start {os.getloadavg()[0]:.1f}")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Server:
    """Listens with LMTP on a free port, keeps mail below `place`/mail, filters with the script `rules`."""

    rules = os.path.join(HERE, "rules.sieve")

    def __init__(self, place):
        self.place = place
        with contextlib.closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.mail = os.path.join(place, "mail")
        # A copy: the user mail may not enter the project's folder.
        self.rules = shutil.copy(self.rules, os.path.join(place, "rules.sieve"))
        os.makedirs(self.mail)
        for path in (place, self.mail, self.rules):
            os.chmod(path, 0o644 if path == self.rules else 0o755)
        self.own(self.mail)

    def own(self, top):
        """Gives files to the user that serves, where one can."""
        if os.geteuid() != 0:
            return
        os.chown(top, USER.pw_uid, USER.pw_gid)
        for path, folders, files in os.walk(top):
            for name in folders + files:
                os.lchown(os.path.join(path, name), USER.pw_uid, USER.pw_gid)

    def __enter__(self):
        self.log = open(os.path.join(self.place, "log"), "ab")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as client:
                if client.recv(3) == b"220":
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        sys.exit(f"the server does not answer; see {self.log.name}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def processes(self):
        """The lines of /proc/PID/stat from the third field on, of all its processes by process id."""
        all_of = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                all_of[int(pid)] = stat.read().rsplit(")", 1)[1].split()
        ours, new = {}, {self.process.pid}
        while new:
            ours.update((pid, all_of[pid]) for pid in new if pid in all_of)
            new = {pid for pid, fields in all_of.items() if int(fields[1]) in ours and pid not in ours}
        return ours

    def used(self):
        """Seconds of processor time in user mode and in the kernel, of its processes and those that ended."""
        fields = self.processes().values()
        user = sum(int(each[11]) + int(each[13]) for each in fields)
        kernel = sum(int(each[12]) + int(each[14]) for each in fields)
        return user / TICK, kernel / TICK

    def memory(self, what):
        """Bytes of its processes: `VmRSS` or `VmHWM` of /proc/PID/status, or `Pss` of smaps_rollup."""
        return KIB * sum(self.in_proc(pid, what) for pid in self.processes())

    @staticmethod
    def in_proc(pid, what):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/{'smaps_rollup' if what == 'Pss' else 'status'}", encoding="utf-8") as file:
                return int(re.search(rf"^{what}:\s+(\d+)", file.read(), re.MULTILINE).group(1))
        return 0


class Postroom(Server):
    """`binary` is set by the program that measures; `settings` are added to the configuration."""

    name = "postroom"
    binary = None
    settings = ""

    def __init__(self, place):
        super().__init__(place)
        user = f'user = "{USER.pw_name}"\n' if os.geteuid() == 0 else ""
        # The rules are the script of users without one, as sieve_default is with Dovecot.
        self.config = write(
            os.path.join(place, "postroom.toml"),
            f"""hostname = "mx.example.org"
root = "{self.mail}"
{user}
[[listen]]
protocol = "lmtp"
address = "127.0.0.1:{self.port}"

[directory]
kind = "static"
domains = ["example.org"]

[sieve]
default = "{self.rules}"

{self.settings}""",
        )

    @classmethod
    @functools.cache
    def default(cls, setting):
        """What a setting is where nothing is said, as `config reference` has it."""
        command = [cls.binary, "config", "reference"]
        reference = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return re.search(rf"^### `{setting}`$.*?^- Default: `(.*?)`$", reference, re.MULTILINE | re.DOTALL).group(1)

    def command(self):
        return [self.binary, "serve", "--config", self.config]

    def run(self, *words, check=True):
        """Another command on its accounts; as root it becomes their owner by itself."""
        command = [self.binary, *words, "--config", self.config]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=check)


class Dovecot(Server):
    """Debian's dovecot-lmtpd and dovecot-sieve. `ready` processes of its LMTP wait for connections and outlive them, so
    that a short round is not spent on their start."""

    name = "Dovecot"
    ready = 16

    @staticmethod
    def version():
        return subprocess.run(["dovecot", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]

    def command(self):
        config = write(
            os.path.join(self.place, "dovecot.conf"),
            f"""base_dir = {self.place}/run
state_dir = {self.place}/state
log_path = {self.place}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
first_valid_gid = 1
default_process_limit = 200
default_client_limit = 1000
mail_fsync = optimized
mail_location = maildir:~/Maildir
postmaster_address = postmaster@example.org
hostname = mx.example.org
passdb {{
  driver = static
  args = nopassword
}}
userdb {{
  driver = static
  args = uid={USER.pw_name} gid={USER.pw_name} home={self.mail}/%d/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = .
}}
service lmtp {{
  service_count = 0
  process_min_avail = {self.ready}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_default = {self.rules}
}}
""",
        )
        subprocess.run(["sievec", "-c", config, self.rules], check=True)
        return ["dovecot", "-F", "-c", config]
