"""The servers that a load run compares, each with a directory, ports on loopback and accounts of its own."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
START_SECONDS = 180
STOP_SECONDS = 60
CALM_SECONDS = 600


def substitute(text, replacements):
    """Every pattern must be there: a file that has changed under us is a fault, not a default."""
    for pattern, replacement in replacements.items():
        text, count = re.subn(pattern, lambda _: replacement, text, flags=re.MULTILINE)
        if count == 0:
            raise SystemExit(f"nothing to replace for {pattern}")
    return text


class Server:
    """A process that listens on `port` (plain), `tls_port` (TLS from the first byte), and `web_port` (HTTPS)."""

    user = None

    def __init__(self, directory, port):
        self.directory = directory / self.name
        self.port, self.tls_port, self.web_port = port, port + 1, port + 3
        self.process = None

    def prepare(self):
        """The directory with certificate and configuration; what is in it already stays."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for above in self.directory.parents if self.user and os.geteuid() == 0 else ():
            if not above.stat().st_mode & 0o001:
                raise SystemExit(f"{self.name} runs as the user {self.user}, who may not enter {above}")
        certificate, key = self.directory / "cert.pem", self.directory / "key.pem"
        if not certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-keyout", key, "-out", certificate, "-days", "3650", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self.configure()
        if self.user and os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.user}:{self.user}", self.directory], check=True)

    def start(self):
        self.prepare()
        if self.listens():
            raise SystemExit(f"something listens at port {self.port} already: a server of an earlier run?")
        run_as = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] \
            if self.user and os.geteuid() == 0 else []
        with (self.directory / "out.log").open("ab") as log:
            self.process = subprocess.Popen([*run_as, *self.command()], cwd=self.directory, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "HOME": str(self.directory)},
                                            start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = (self.directory / "out.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"{self.name} did not start:\n{tail}")
            time.sleep(0.05)
        time.sleep(0.5)

    def listens(self):
        try:
            for port in (self.port, self.tls_port, self.web_port):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        """Ends all that the start began, which is more than one process where a script is around the server."""
        if self.process is None:
            return
        deadline = time.monotonic() + STOP_SECONDS
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            while True:
                self.process.poll()
                os.killpg(self.process.pid, 0)
                if time.monotonic() > deadline:
                    os.killpg(self.process.pid, signal.SIGKILL)
                time.sleep(0.05)
        except ProcessLookupError:
            self.process = None

    def calm_down(self):
        """Waits until the server is idle: what it still does for those who have gone would slow the next one."""
        deadline = time.monotonic() + CALM_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(1)
            now = self.cpu_seconds()
            if now - before < 0.1:
                return
            before = now
        raise SystemExit(f"{self.name} is still at work after {CALM_SECONDS} s")

    def cpu_seconds(self):
        """What the processes of its session have used so far."""
        ticks = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # Gone meanwhile.
            if int(fields[3]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def restart(self):
        self.stop()
        self.start()


class Prosody(Server):
    name, user = "prosody", "prosody"

    def configure(self):
        (self.directory / "data").mkdir(exist_ok=True)
        (self.directory / "prosody.cfg.lua").write_text(substitute(
            (HERE / "prosody.cfg.lua").read_text(),
            {"@DIR@": str(self.directory), "@PORT@": str(self.port), "@TLS_PORT@": str(self.tls_port),
             "@WEB_PORT@": str(self.web_port)}))

    def command(self):
        return ["prosody", "-F", "--config", self.directory / "prosody.cfg.lua"]

    def version(self):
        return package_version("prosody")


class Ejabberd(Server):
    name, user = "ejabberd", "ejabberd"

    def configure(self):
        d = self.directory
        for folder in ("db", "log", "modules.d"):
            (d / folder).mkdir(exist_ok=True)
        (d / "both.pem").write_text((d / "key.pem").read_text() + (d / "cert.pem").read_text())
        (d / "inetrc").write_text('{lookup,["file","native"]}.\n')
        (d / "ejabberd.yml").write_text(substitute(
            (HERE / "ejabberd.yml").read_text(),
            {"@DIR@": str(d), "@PORT@": str(self.port), "@TLS_PORT@": str(self.tls_port),
             "@WEB_PORT@": str(self.web_port)}))
        # A fixed port for Erlang's distribution on loopback: no epmd is needed.
        (d / "ejabberdctl.cfg").write_text(f"""\
ERLANG_NODE=ejabberd_bench@localhost
ERL_DIST_PORT={self.port + 9}
INET_DIST_INTERFACE=127.0.0.1
ERL_OPTIONS="-env ERL_CRASH_DUMP_BYTES 0"
CONTRIB_MODULES_CONF_DIR={d}/modules.d
""")

    def command(self):
        d = self.directory
        return ["ejabberdctl", "--config-dir", d, "--spool", d / "db", "--logs", d / "log", "foreground"]

    def version(self):
        return package_version("ejabberd")


class Balcony(Server):
    name = "balcony"
    workers = 1

    def __init__(self, directory, port, binary):
        super().__init__(directory, port)
        self.binary = binary

    def configure(self):
        (self.directory / "balcony.toml").write_text(substitute(
            (ROOT / "config/bench.toml").read_text(),
            {r'^# certificate = .*$': 'certificate = "cert.pem"',
             r'^# key = .*$': 'key = "key.pem"',
             r'^listen = .*$': f'listen = ["127.0.0.1:{self.port}"]',
             r'^listen_tls = .*$': f'listen_tls = ["127.0.0.1:{self.tls_port}"]'}) + f"""
[runtime]
workers = {self.workers}

[s2s]
listen = []
listen_tls = []

[components]
listen = []

[http]
listen = []
listen_tls = ["127.0.0.1:{self.web_port}"]

[metrics]
listen = "127.0.0.1:{self.port + 2}"
""")

    def command(self):
        return [self.binary, "run", "--config", "balcony.toml"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


    def metric(self, name, label):
        """The sum of the rows of this name with this value of a label."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 2}/metrics", timeout=10) as answer:
            rows = answer.read().decode().splitlines()
        return sum(int(row.split()[-1]) for row in rows if row.startswith(name + "{") and f'"{label}"' in row)

    def forget_sessions(self):
        """What was kept for a restart is not gone on with."""
        self.stop()
        (self.directory / "bench-data/sessions").unlink(missing_ok=True)
        self.start()


class BalconyTwo(Balcony):
    """The same with two workers, on a copy of the accounts."""

    name = "balcony2"
    workers = 2

    def copy_accounts(self, other):
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.directory / "bench-data", ignore_errors=True)
        shutil.copytree(other.directory / "bench-data", self.directory / "bench-data",
                        ignore=shutil.ignore_patterns("*.sock", "lock"))


class Relay(Server):
    """xload's bare relay: reads the address, hands the message over, knows nothing else. One process for each kind."""

    name = "relay"

    def __init__(self, directory, port, xload):
        super().__init__(directory, port)
        self.xload, self.tls = xload, True

    def configure(self):
        pass

    def command(self):
        if not self.tls:
            return [self.xload, "stub", "--listen", f"127.0.0.1:{self.port}"]
        return [self.xload, "stub", "--listen", f"127.0.0.1:{self.tls_port}", "--cert", "cert.pem", "--key", "key.pem"]

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.tls_port if self.tls else self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def version(self):
        return "xload stub"


def package_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                          check=True).stdout
