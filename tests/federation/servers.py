"""Servers of the lab, each on an address of its own on loopback, with a domain, accounts and a directory of its own.

All certificates come from one authority of the lab, unless a scenario wants otherwise. Where the others are is told by
a name server of the lab, or by routes; Prosody has a private hosts file beside it. Nobody asks the system's resolver.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import names

ROOT = pathlib.Path(__file__).resolve().parents[2]
DNS, NUMERIC_DNS = ("127.0.7.1", 5300), ("127.0.7.1", 5301)
START_SECONDS = 90
STOP_SECONDS = 30
C2S, S2S, S2S_TLS, COMPONENTS, METRICS = 5222, 5269, 5270, 5347, 9568


class Failed(Exception):
    """A server did not do what the lab needs from it; its log is part of the text."""


class Authority:
    """Issues certificates."""

    def __init__(self, directory, name="Lab"):
        self.directory, self.name = directory, name
        self.certificate = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", self.key, "-out", self.certificate, "-days", "2", "-subj", f"/CN={name} authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, domain, into):
        """`into`/cert.pem and key.pem, for servers: public authorities name no other purpose any more."""
        request, extensions = into / "request.pem", into / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{domain},DNS:*.{domain}\nextendedKeyUsage=serverAuth\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", into / "key.pem", "-out", request, "-subj", f"/CN={domain}")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-out", into / "cert.pem", "-days", "2", "-extfile", extensions)


class Lab:
    """The directory of one scenario, its servers, and where each domain is."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-federation-"))
        self.directory.chmod(0o755)
        self.authority = Authority(self.directory)
        self.places = {}
        self.servers = []
        self.domains = {}
        self.names = [names.NameServer(DNS, self.domains), names.NameServer(NUMERIC_DNS, self.domains, numeric=True)]

    def server(self, kind, domain, address, **settings):
        server = kind(self, domain, address, **settings)
        self.lead(domain, address, S2S_TLS if kind is not Ejabberd else None)
        self.servers.append(server)
        return server

    def lead(self, domain, address, tls=None):
        """The domain and its rooms are at this address from now on."""
        for name in (domain, f"rooms.{domain}"):
            self.places[name] = (address, S2S)
            self.domains[name] = (address, S2S, tls)

    def start(self):
        for server in self.servers:
            server.configure()
        for server in self.servers:
            server.start()

    def stop(self):
        for server in self.servers:
            server.kill()
        for server in self.names:
            server.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Server:
    """A process on an address of its own."""

    user = None
    # Whether it counts and acknowledges stanzas on connections between servers (XEP-0198), and resumes what broke.
    MANAGES_STREAMS = True
    RESUMES_STREAMS = False

    def __init__(self, lab, domain, address, *, authority=None, require_tls=True, dialback=True, routes=False,
                 exempt=("127.0.0.0/8", "::1/128"), log="debug", limits="", grace="10s", quiet="30s"):
        self.lab, self.domain, self.address = lab, domain, address
        self.require_tls, self.dialback, self.has_routes = require_tls, dialback, routes
        self.exempt, self.level, self.limits, self.grace, self.quiet = exempt, log, limits, grace, quiet
        self.directory = lab.directory / domain
        self.directory.mkdir()
        self.process = None
        self.log = self.directory / "out.log"
        (authority or lab.authority).issue(domain, self.directory)

    @property
    def c2s(self):
        return (self.address, C2S)

    def routes(self):
        own = (self.domain, f"rooms.{self.domain}")
        return {domain: place for domain, place in self.lab.places.items() if domain not in own}

    def start(self):
        run_as = []
        if self.user and os.geteuid() == 0:
            run("chown", "-R", f"{self.user}:{self.user}", self.directory)
            run_as = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*run_as, *self.command()], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "HOME": str(self.directory), **self.environment()}, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.domain} did not start:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def environment(self):
        return {}

    def listens(self):
        try:
            for port in (C2S, S2S):
                socket.create_connection((self.address, port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        """SIGTERM to all that the start began, which is more than one process where a script is around the server."""
        self.end(signal.SIGTERM)

    def kill(self):
        """kill -9, in the middle of whatever it does."""
        self.end(signal.SIGKILL)

    def end(self, how):
        if self.process is None:
            return
        deadline = time.monotonic() + STOP_SECONDS
        try:
            os.killpg(self.process.pid, how)
            while True:
                self.process.poll()
                os.killpg(self.process.pid, 0)
                if time.monotonic() > deadline:
                    os.killpg(self.process.pid, signal.SIGKILL)
                time.sleep(0.01)
        except ProcessLookupError:
            self.process = None

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def run(self, *command, stdin=""):
        return run(*command, cwd=self.directory, stdin=stdin)


class Balcony(Server):
    """`balcony run` from this checkout; the environment variable BALCONY names another binary."""

    name = "balcony"
    binary = pathlib.Path(os.environ.get("BALCONY", ROOT / "target/debug/balcony"))
    RESUMES_STREAMS = True

    def configure(self):
        host = f"[{self.address}]" if ":" in self.address else self.address
        routes = "\n".join(f'"{domain}" = "{address}:{port}"' for domain, (address, port) in self.routes().items()) if self.has_routes else ""
        authentication = "certificate-or-dialback" if self.dialback else "certificate"
        secret = self.directory / "bridge.secret"
        secret.write_text("sesame")
        secret.chmod(0o600)
        (self.directory / "balcony.toml").write_text(f"""\
data_dir = "data"
[hosts."{self.domain}"]
certificate = "cert.pem"
key = "key.pem"
[log]
level = "{self.level}"
[c2s]
listen = ["{host}:{C2S}"]
listen_tls = []
require_tls = false
[s2s]
listen = ["{host}:{S2S}"]
listen_tls = ["{host}:{S2S_TLS}"]
require_tls = {str(self.require_tls).lower()}
authentication = "{authentication}"
trusted_roots = ["{self.lab.authority.certificate}"]
private_addresses = ["127.0.7.0/24", "::1/128"]
quiet_time = "{self.quiet}"
[s2s.routes]
{routes}
[dns]
servers = ["{DNS[0]}:{DNS[1]}"]
[components]
listen = ["{host}:{COMPONENTS}"]
[components.domains."bridge.{self.domain}"]
secret_file = "bridge.secret"
[http]
listen = []
listen_tls = []
[muc]
services = ["rooms.{self.domain}"]
[psa]
s2s_grace = "{self.grace}"
[metrics]
listen = "{host}:{METRICS}"
[limits]
exempt = {json.dumps(self.exempt)}
{self.limits}
stranger_messages = "off"
subscriptions_from_strangers = "off"
messages_from_strangers = "off"
stranger_subscriptions = "off"
""")
        for user in ("romeo", "juliet"):
            self.run(self.binary, "account", "add", f"{user}@{self.domain}", "--password-stdin",
                     "--config", "balcony.toml", stdin="secret\n")

    def command(self):
        return [self.binary, "run", "--config", "balcony.toml"]

    def link(self, *arguments):
        """`balcony link …` as data."""
        return json.loads(self.run(self.binary, "link", *arguments, "--config", "balcony.toml", "--json"))

    def link_state(self, domain):
        """The state of the link to this domain; None when there is none."""
        links = self.link("list")["links"]
        return next((link["state"] for link in links if link["remote"] == domain), None)

    def keeps_presence_of(self, user):
        """Whether it is on disk that others have seen this account, so that they are told should the server die."""
        with contextlib.closing(sqlite3.connect(f"file:{self.directory}/data/balcony.db?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM held_presence JOIN accounts ON accounts.id = account WHERE name = ?",
                                    (user,)).fetchone() is not None

    @staticmethod
    def version():
        return run(Balcony.binary, "--version").strip()


class Prosody(Server):
    """Prosody from Debian's package."""

    name, user = "prosody", "prosody"

    def configure(self):
        d = self.directory
        (d / "hosts").write_text("".join(f"{address} {domain}\n" for domain, (address, _) in self.routes().items()))
        shutil.copy(self.lab.authority.certificate, d / "authority.pem")
        modules = ["disco", "roster", "saslauth", "tls", "ping", "offline", "posix", "smacks", "version"]
        if self.dialback:
            modules.append("dialback")
        listed = ", ".join(f'"{module}"' for module in modules)
        (d / "prosody.cfg.lua").write_text(f"""\
run_as_root = false
data_path = "{d}/data"
pidfile = "{d}/pid"
log = {{ {self.level} = "*console" }}
interfaces = {{ "{self.address}" }}
c2s_ports = {{ {C2S} }}
c2s_direct_tls_ports = {{}}
s2s_ports = {{ {S2S} }}
s2s_direct_tls_ports = {{ {S2S_TLS} }}
http_ports = {{}}
https_ports = {{}}
unbound = {{ resolvconf = false, hoststxt = "{d}/hosts", forward = {{ "{DNS[0]}@{DNS[1]}" }},
  options = {{ ["do-not-query-localhost:"] = "no" }} }}
ssl = {{ certificate = "{d}/cert.pem", key = "{d}/key.pem", cafile = "{d}/authority.pem" }}
c2s_require_encryption = false
s2s_require_encryption = {str(self.require_tls).lower()}
s2s_secure_auth = {str(not self.dialback).lower()}
modules_enabled = {{ {listed} }}
limits = {{}}
VirtualHost "{self.domain}"
Component "rooms.{self.domain}" "muc"
""")
        (d / "data").mkdir()
        run("chown", "-R", "prosody:prosody", d)
        for user in ("romeo", "juliet"):
            self.run("prosodyctl", "--config", d / "prosody.cfg.lua", "register", user, self.domain, "secret")

    def command(self):
        return ["prosody", "-F", "--config", self.directory / "prosody.cfg.lua"]

    @staticmethod
    def version():
        return package("prosody")


class Ejabberd(Server):
    """ejabberd from Debian's package; it has stream management for clients only (its issue 4277)."""

    name, user = "ejabberd", "ejabberd"
    MANAGES_STREAMS = False

    def configure(self):
        d = self.directory
        for folder in ("db", "log", "modules.d"):
            (d / folder).mkdir()
        (d / "both.pem").write_text((d / "key.pem").read_text() + (d / "cert.pem").read_text())
        shutil.copy(self.lab.authority.certificate, d / "authority.pem")
        nameserver = NUMERIC_DNS[0].replace(".", ",")
        (d / "inetrc").write_text('{lookup,[file,dns]}.\n{resolv_conf,""}.\n{hosts_file,""}.\n'
                                  '{host,{127,0,0,1},["localhost"]}.\n'
                                  f"{{nameserver,{{{nameserver}}},{NUMERIC_DNS[1]}}}.\n")
        tls = "required" if self.require_tls else "optional"
        dialback = "  mod_s2s_dialback: {}\n" if self.dialback else ""
        (d / "ejabberd.yml").write_text(f"""\
loglevel: debug
log_rotate_count: 0
hosts:
  - "{self.domain}"
certfiles:
  - "{d}/both.pem"
ca_file: "{d}/authority.pem"
s2s_use_starttls: {tls}
s2s_dns_timeout: 2
s2s_dns_retries: 1
listen:
  - {{ port: {C2S}, ip: "{self.address}", module: ejabberd_c2s, shaper: none, access: c2s }}
  - {{ port: {S2S}, ip: "{self.address}", module: ejabberd_s2s_in, shaper: none }}
auth_method: internal
auth_password_format: scram
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
access_rules:
  c2s: {{ allow: all }}
modules:
  mod_admin_extra: {{}}
  mod_disco: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
{dialback}""")
        # A fixed port for Erlang's distribution: no epmd is needed.
        last = self.address.rpartition(".")[2]
        (d / "ejabberdctl.cfg").write_text(f"""\
ERLANG_NODE=ejabberd_lab{last}@localhost
ERL_DIST_PORT={26000 + int(last)}
INET_DIST_INTERFACE=127.0.0.1
ERL_OPTIONS="-env ERL_CRASH_DUMP_BYTES 0"
CONTRIB_MODULES_CONF_DIR={d}/modules.d
""")

    def command(self):
        d = self.directory
        return ["ejabberdctl", "--config-dir", d, "--spool", d / "db", "--logs", d / "log", "foreground"]

    def start(self):
        is_first = self.process is None and not (self.directory / "registered").exists()
        super().start()
        if is_first:
            d = self.directory
            for user in ("romeo", "juliet"):
                self.register(user)
            (d / "registered").touch()
        return self

    def register(self, user):
        d = self.directory
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return run("setpriv", "--reuid=ejabberd", "--regid=ejabberd", "--clear-groups", "ejabberdctl",
                           "--config-dir", d, "--spool", d / "db", "--logs", d / "log", "register", user, self.domain,
                           "secret", cwd=d, environment={"HOME": str(d)})
            except Failed:
                # It listens before it takes commands.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    @staticmethod
    def version():
        return package("ejabberd")


def run(*command, cwd=None, stdin="", environment=None):
    done = subprocess.run([*map(str, command)], cwd=cwd, input=stdin, capture_output=True, text=True,
                          env={**os.environ, **(environment or {})}, timeout=60)
    if done.returncode != 0:
        raise Failed(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def package(name):
    return f"{name} {run('dpkg-query', '-W', '-f', '${Version}', name)}"
