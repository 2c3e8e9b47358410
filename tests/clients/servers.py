"""Starts a server of its own for a test: Balcony, or Prosody, to see that a scenario asks for what servers do.

Each server has a directory, ports of its own on loopback, the domain montague.lit and a certificate for it.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAIN = "montague.lit"
ROOMS = f"rooms.{DOMAIN}"
START_SECONDS = 60
STOP_SECONDS = 30


class Failed(Exception):
    """A server did not do what the test needs from it; its log is part of the text."""


GIVEN_PORTS = set()


def free_port():
    """One that nobody listens at, and that was not given before: the system may name the same one twice in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


class Server:
    """What both have in common: a process, its directory, its ports."""

    def __init__(self, registration="closed", require_tls=True, storage=None):
        self.registration, self.require_tls, self.storage = registration, require_tls, storage
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-clients-"))
        self.directory.chmod(0o755)
        self.port, self.tls_port = free_port(), free_port()
        self.http_port, self.https_port = free_port(), free_port()
        self.component_port = free_port()
        self.process = None
        self.log = self.directory / "log"
        self.certificate = self.directory / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", self.directory / "key.pem", "-out", self.certificate, "-days", "2",
             "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"],
            check=True, capture_output=True)
        self.configure()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self.listens():
            if self.process.poll() is not None:
                raise Failed(f"the server ended at once ({self.process.returncode}):\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise Failed(f"the server does not listen after {START_SECONDS} s:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def listens(self):
        try:
            for port in (self.port, self.tls_port):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        """A clean stop: after SIGTERM the process ends by itself, without an error."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.ended()

    def ended(self):
        """Told to stop, it ends by itself."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"the server did not stop within {STOP_SECONDS} s:\n{self.tail()}") from None
        self.process = None
        if code != 0:
            raise Failed(f"the server ended with {code} when it was told to stop:\n{self.tail()}")

    def kill(self):
        """kill -9, in the middle of whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def run(self, *command, stdin=""):
        done = subprocess.run(command, cwd=self.directory, input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


class Balcony(Server):
    """`balcony run` from this checkout; the environment variable BALCONY names another binary."""

    binary = os.environ.get("BALCONY", ROOT / "target/debug/balcony")
    # More lines for [limits].
    limits = ""

    def configure(self):
        secret = self.directory / "bridge.secret"
        secret.write_text("sesame\n")
        secret.chmod(0o600)
        (self.directory / "balcony.toml").write_text(f"""\
data_dir = "data"
[hosts."{DOMAIN}"]
certificate = "cert.pem"
key = "key.pem"
registration = "{self.registration}"
[muc]
services = ["{ROOMS}"]
[storage]
url = "{self.storage or "sqlite:data/balcony.db"}"
[c2s]
listen = ["127.0.0.1:{self.port}"]
listen_tls = ["127.0.0.1:{self.tls_port}"]
require_tls = {str(self.require_tls).lower()}
[s2s]
listen = []
listen_tls = []
[components]
listen = ["127.0.0.1:{self.component_port}"]
[components.domains."bridge.{DOMAIN}"]
secret_file = "bridge.secret"
[http]
listen = ["127.0.0.1:{self.http_port}"]
listen_tls = ["127.0.0.1:{self.https_port}"]
trusted_proxies = ["127.0.0.1"]
[metrics]
listen = "127.0.0.1:{free_port()}"
[limits]
exempt = ["127.0.0.0/8"]
stranger_messages = "off"
subscriptions_from_strangers = "off"
messages_from_strangers = "off"
stranger_subscriptions = "off"
{self.limits}
""")

    def command(self):
        return [self.binary, "run", "--config", "balcony.toml"]

    def account(self, user, password):
        self.run(self.binary, "account", "add", f"{user}@{DOMAIN}", "--password-stdin", "--config", "balcony.toml",
                 stdin=f"{password}\n")


class Proxy:
    """A proxy from Debian's package with the example of deploy/, in front of a server, as nobody in particular."""

    def __init__(self, server):
        self.server, self.port = server, free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-proxy-"))
        for name in ("cert.pem", "key.pem"):
            shutil.copy(server.directory / name, self.directory / name)
            (self.directory / name).chmod(0o644)
        both = self.directory / "both.pem"
        both.write_text("".join((server.directory / name).read_text() for name in ("cert.pem", "key.pem")))
        both.chmod(0o644)
        self.directory.chmod(0o777)
        self.file = self.directory / self.example.name
        self.configure(self.example.read_text())

    def replaced(self, text, *replacements):
        """The example with the ports and files of this test. What is not there any more is a fault of the test."""
        for there, here in replacements:
            if there not in text:
                raise Failed(f"{self.example} has no {there}")
            text = text.replace(there, here)
        return text

    def run_as_nobody(self, *command, **options):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        home = {"HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}
        return subprocess.Popen([*nobody, *command], stdin=subprocess.DEVNULL, cwd=self.directory,
                                env={**os.environ, **home}, **options)

    def checked(self):
        """What the proxy's own check says of the file: the exit code and the words."""
        process = self.run_as_nobody(*self.check(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, _ = process.communicate(timeout=START_SECONDS)
        return process.returncode, said

    def __enter__(self):
        log = self.directory / "log"
        with log.open("wb") as out:
            self.process = self.run_as_nobody(*self.command(), stdout=out, stderr=out)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"{self.example.name}: it does not listen:\n{log.read_text()}") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Nginx(Proxy):
    example = ROOT / "deploy/proxy/nginx.conf"

    def configure(self, text):
        d = self.directory
        text = self.replaced(
            text,
            ("127.0.0.1:5280", f"127.0.0.1:{self.server.http_port}"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("    listen [::]:443 ssl;\n", ""),
            ("/etc/ssl/montague.lit.pem", f"{d}/cert.pem"),
            ("/etc/ssl/montague.lit.key", f"{d}/key.pem"))
        paths = "".join(f"{kind}_temp_path {d}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.file.write_text(
            f"daemon off;\npid {d}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n")

    def check(self):
        return ["/usr/sbin/nginx", "-t", "-p", self.directory, "-c", self.file]

    def command(self):
        return ["/usr/sbin/nginx", "-p", self.directory, "-c", self.file]


class HAProxy(Proxy):
    example = ROOT / "deploy/proxy/haproxy.cfg"

    def configure(self, text):
        self.file.write_text(self.replaced(
            text,
            ("server balcony 127.0.0.1:5280", f"server balcony 127.0.0.1:{self.server.http_port}"),
            ("bind :443,[::]:443 ssl", f"bind 127.0.0.1:{self.port} ssl"),
            ("/etc/haproxy/montague.lit.pem", f"{self.directory}/both.pem")))

    def check(self):
        return ["/usr/sbin/haproxy", "-c", "-f", self.file]

    def command(self):
        return ["/usr/sbin/haproxy", "-db", "-f", self.file]


class Caddy(Proxy):
    example = ROOT / "deploy/proxy/Caddyfile"

    def configure(self, text):
        d = self.directory
        text = self.replaced(
            text,
            ("reverse_proxy @balcony 127.0.0.1:5280", f"reverse_proxy @balcony 127.0.0.1:{self.server.http_port}"),
            # The certificate of the test, in place of one that Caddy gets for itself.
            (f"\n{DOMAIN} {{\n", f"\nhttps://{DOMAIN}:{self.port} {{\n\tbind 127.0.0.1\n\ttls {d}/cert.pem {d}/key.pem\n"))
        self.file.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")

    def check(self):
        return ["caddy", "validate", "--adapter", "caddyfile", "--config", self.file]

    def command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.file]


class Prosody(Server):
    """Prosody from Debian's package, with what it offers by default."""

    def configure(self):
        d = self.directory
        (d / "prosody.cfg.lua").write_text(f"""\
run_as_root = false
data_path = "{d}/data"
pidfile = "{d}/pid"
log = {{ info = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_ports = {{}}
http_ports = {{}}
https_ports = {{}}
ssl = {{ certificate = "{d}/cert.pem", key = "{d}/key.pem" }}
c2s_direct_tls_ssl = {{ certificate = "{d}/cert.pem", key = "{d}/key.pem" }}
c2s_require_encryption = {str(self.require_tls).lower()}
allow_registration = {str(self.registration == "open").lower()}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "blocklist", "private", "smacks", "vcard_legacy", "ping",
  "register", "time", "lastactivity", "version", "offline", "posix", "limits" }}
modules_disabled = {{ "s2s" }}
limits = {{}}
VirtualHost "{DOMAIN}"
Component "{ROOMS}" "muc"
""")
        (d / "data").mkdir()
        subprocess.run(["chown", "-R", "prosody:prosody", d], check=True)

    def command(self):
        return ["setpriv", "--reuid=prosody", "--regid=prosody", "--clear-groups",
                "prosody", "-F", "--config", self.directory / "prosody.cfg.lua"]

    def account(self, user, password):
        self.run("prosodyctl", "--config", self.directory / "prosody.cfg.lua", "register", user, DOMAIN, password)


def chosen():
    """The kind of server that the environment variable PEER asks for; Balcony unless it says otherwise."""
    return {"balcony": Balcony, "prosody": Prosody}[os.environ.get("PEER", "balcony")]
