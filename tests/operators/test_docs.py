"""The commands of the documentation, executed: on directories and ports of the test, and otherwise as they are written."""

import asyncio
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest
import xml.etree.ElementTree as ElementTree
from unittest import mock

from client import Client
from servers import START_SECONDS, Balcony, Failed, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs/decisions").glob("*.md")),
             *sorted((ROOT / "tests").glob("*/*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.M | re.S)
# What other packages of the page's reader do, and what other stages of the tests run.
NOT_OURS = ("certbot", "systemctl", "install", "#!", "cargo", "tests/run", "WORLD", "pg_")


def blocks(page):
    """The indented blocks of a page, each as one text, without the indentation."""
    text = FENCE.sub("", page.read_text())
    return [re.sub(r"^    ", "", block, flags=re.M).strip("\n")
            for block in re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", text, flags=re.M)]


def fences(page):
    """The blocks between fences, with their languages."""
    return FENCE.findall(page.read_text())


def commands(page):
    return [line for block in blocks(page) for line in block.splitlines()
            if re.match(r"(balcony|sqlite3|rm|cp) ", line) or line.startswith(NOT_OURS)]


class Documented(Balcony):
    """A server with the configuration of docs/domain.md, with the directories and ports of the test."""

    domain = "example.org"

    def configure(self):
        self.etc, self.var = self.directory / "etc", self.directory / "var"
        self.etc.mkdir()
        for name in ("cert.pem", "key.pem"):
            (self.directory / name).unlink()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", self.etc / "example.org.key", "-out", self.etc / "example.org.pem", "-days", "60",
             "-subj", "/CN=example.org", "-addext", "subjectAltName=DNS:example.org,DNS:rooms.example.org"],
            check=True, capture_output=True)
        self.certificate = self.etc / "example.org.pem"
        (self.etc / "example.org.key").chmod(0o600)
        written = next(block for block in blocks(ROOT / "docs/domain.md") if block.startswith("data_dir ="))
        (self.etc / "balcony.toml").write_text(self.here(written) + f"""
[c2s]
listen = ["127.0.0.1:{self.port}"]
listen_tls = ["127.0.0.1:{self.tls_port}"]
[s2s]
listen = []
listen_tls = []
[dns]
servers = ["127.0.0.1:9"]
[http]
listen = []
listen_tls = ["127.0.0.1:{self.https_port}"]
[metrics]
listen = "127.0.0.1:{free_port()}"
""")

    def here(self, text):
        return (text.replace("/var/lib/balcony", str(self.var)).replace("/etc/balcony", str(self.etc))
                .replace("/backup", str(self.directory)))

    def command(self):
        return [self.binary, "run", "--config", self.etc / "balcony.toml"]

    def type(self, line, stdin=""):
        """A command of a page."""
        words = shlex.split(self.here(line))
        if words[0] == "balcony":
            words = [str(self.binary), *words[1:], "--config", str(self.etc / "balcony.toml")]
        return self.run(*words, stdin=stdin)


class Trial:
    """`balcony run --dev`, in a network of its own where the system allows that: its ports are always the same."""

    def __init__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="balcony-docs-"))
        own = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        is_own = subprocess.run([*own, "true"], capture_output=True).returncode == 0
        self.log = (self.place / "log").open("w+")
        self.server = subprocess.Popen(
            [*(own if is_own else []), str(Balcony.binary), "run", "--dev", "--data", "data"],
            cwd=self.place, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.inside = f"nsenter --net --target {self.server.pid} " if is_own else ""
        self.others = []

    def __enter__(self):
        said = self.wait(lambda: self.said(), "Stop: ")
        self.words = dict(re.findall(r"(romeo|juliet)@localhost +password (\w+)", said))
        self.words = {name.upper(): password for name, password in self.words.items()}
        self.words["CERTIFICATE"] = re.search(r"^ +(/\S+\.pem)$", said, flags=re.M)[1]
        self.words["DATA"] = re.search(r"Data: (\S+)$", said, flags=re.M)[1]
        return self

    def __exit__(self, *_):
        for process in [*self.others, self.server]:
            process.terminate()
            process.wait()
        self.log.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def said(self):
        return (self.place / "log").read_text()

    def wait(self, hear, what):
        deadline = time.monotonic() + START_SECONDS
        while what not in hear():
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise Failed(f"{what!r} was not said:\n{hear()}\n{self.said()}")
            time.sleep(0.05)
        return hear()

    def filled(self, line):
        """A line of the page with what the server has printed."""
        for word, value in self.words.items():
            line = re.sub(rf"\b{word}\b", value, line)
        line = line.replace("target/release/balcony", str(Balcony.binary))
        return re.sub(r"\b(go-sendxmpp|python3|curl)\b", lambda program: self.inside + (
            sys.executable if program[0] == "python3" else program[0]), line)

    def listen(self, line):
        """Starts what listens until it is ended, and answers with how to read what it has said."""
        heard = self.place / f"heard-{len(self.others)}"
        with heard.open("w") as file:
            self.others.append(subprocess.Popen(
                ["bash", "-c", "exec env " + self.filled(line)], cwd=self.place, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT))
        return heard.read_text

    def type(self, line):
        done = subprocess.run(["bash", "-c", self.filled(line)], cwd=self.place, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=START_SECONDS)
        if done.returncode:
            raise Failed(f"{line}: {done.stdout}{done.stderr}\n{self.said()}")
        return done.stdout


# What `balcony status` may say, line by line.
STATUS = re.compile(r"""Balcony \d+\.\d+\.\d+ \(process \d+\), serving, running for .+
|Database   SQLite, /\S+
|Listening  \S+:\d+ \([a-z0-9_]+\.listen(_tls)?\)
|Host       \S+: \d+ accounts?, \d+ sessions?(, \d+ of them waiting for their clients)?
|  ! \S+ cannot be reached; see: balcony link explain \S+""".replace("\n", ""))


class Pages(unittest.TestCase):
    def test_two_people_chat_as_the_quick_start_tells_it(self):
        page = blocks(ROOT / "docs/quick-start.md")
        program = next(block for block in page if block.startswith("import asyncio"))
        lines = [line for block in page if block != program for line in block.splitlines()]
        ways = {name: [line for line in lines if name in line] for name in ("go-sendxmpp", "chat.py")}
        readme = [line for block in blocks(ROOT / "README.md") for line in block.splitlines() if "localhost" in line]
        self.assertEqual(readme, ways["go-sendxmpp"])
        with Trial() as trial:
            (trial.place / "chat.py").write_text(program)
            for listener, speaker in ways.values():
                hear = trial.listen(listener)
                trial.type(speaker)
                # Who was not there yet gets it on arriving.
                trial.wait(hear, "romeo@localhost: Good night!")
                ended = trial.others.pop()
                ended.terminate()
                ended.wait()
            look = next(block for block in page if block.startswith("target/release/balcony status"))
            status, sessions, figures = map(trial.type, look.splitlines())
            self.assertIn("localhost: 2 accounts", status)
            self.assertNotIn("romeo", sessions)
            self.assertIn("xmpp_build_info", figures)

    def test_operations_shows_what_the_program_says(self):
        page = blocks(ROOT / "docs/operations.md")
        status = next(block for block in page if block.startswith("Balcony "))
        reloaded = next(block for block in page if block.startswith("In force now:"))
        self.assertEqual([line for line in status.splitlines() if not STATUS.fullmatch(line)], [])
        for told in ("waiting for their clients", "cannot be reached"):
            self.assertIn(told, status)
        with Documented() as server, mock.patch("client.DOMAIN", server.domain):
            for account in ("romeo", "nurse"):
                server.type(f"balcony account add {account}@example.org --password-stdin", stdin="secret\n")
            said = asyncio.run(self.one_waits_and_a_domain_is_away(server))
            self.assertEqual([line for line in said.splitlines() if not STATUS.fullmatch(line)], [])
            file = server.etc / "balcony.toml"
            file.write_text(file.read_text().replace("[s2s]\nlisten = []", f'[s2s]\nlisten = ["127.0.0.1:{free_port()}"]')
                            + '[log]\nlevel = "debug"\n[limits]\nroster_items = 1234\n')
            self.assertEqual(server.type("balcony reload").strip("\n"), reloaded)

    @staticmethod
    async def one_waits_and_a_domain_is_away(server):
        """What `status` says then."""
        romeo = await Client(server, "romeo", management=True).login()
        nurse = await Client(server, "nurse").login()
        nurse.chat("juliet@capulet.example", "Is she there?")
        romeo.abort()
        deadline = time.monotonic() + START_SECONDS
        while True:
            said = await asyncio.to_thread(server.type, "balcony status")
            if "1 of them waiting for their clients" in said and "capulet.example cannot be reached" in said:
                await nurse.logout()
                return said
            if time.monotonic() > deadline:
                raise Failed(said)
            await asyncio.sleep(0.05)

    def test_a_real_domain_as_the_page_tells_it(self):
        page = ROOT / "docs/domain.md"
        lines = [line for line in commands(page) if line.startswith("balcony")]
        self.assertEqual(lines, ["balcony check", "balcony account add romeo@example.org", "balcony status"])
        server = Documented()
        self.assertNotIn("error", server.type(lines[0]))
        with server:
            server.type(lines[1] + " --password-stdin", stdin="secret\n")
            self.assertIn("example.org", server.type(lines[2]))
            self.assertIn("romeo@example.org", server.type("balcony account list"))

    def test_a_backup_of_a_running_server_is_restored(self):
        lines = [line for line in commands(ROOT / "docs/backup.md") if not line.startswith("pg_")]
        self.assertEqual([line.split()[0] for line in lines], ["sqlite3", "balcony", "balcony"])
        with Documented() as server, mock.patch("client.DOMAIN", server.domain):
            for account in ("romeo", "nurse"):
                server.type(f"balcony account add {account}@example.org --password-stdin", stdin="secret\n")
            asyncio.run(self.say(server, "romeo@example.org", "before the copy"))
            server.type(lines[0])
            server.type("balcony account add juliet@example.org --password-stdin", stdin="secret\n")
            asyncio.run(self.hear_and_be_drained(server))
            shutil.copy(server.directory / "balcony.db", server.var / "balcony.db")
            for left in ("balcony.db-wal", "balcony.db-shm", "sessions", "rooms"):
                (server.var / left).unlink(missing_ok=True)
            server.type(lines[1])
            server.start()
            accounts = server.type("balcony account list")
            self.assertIn("romeo@example.org", accounts)
            self.assertNotIn("juliet@example.org", accounts)
            asyncio.run(self.hear_again(server))

    @staticmethod
    async def say(server, to, body):
        """What is acknowledged is on disk, and so in the copy that is made next."""
        nurse = await Client(server, "nurse", management=True).login()
        nurse.chat(to, body)
        await nurse.settled()
        counting = nurse.plugin["xep_0198"]
        while counting.unacked_queue:
            counting.request_ack()
            await asyncio.sleep(0.05)
        await nurse.logout()

    @staticmethod
    async def hear_and_be_drained(server):
        """Somebody is there, with a session that could be resumed, while the server ends for good."""
        romeo = await Client(server, "romeo", management=True).login()
        await romeo.hears_body("before the copy")
        await asyncio.to_thread(server.type, "balcony drain --final")
        await asyncio.wait_for(romeo.over.wait(), START_SECONDS)
        romeo.abort()
        await asyncio.to_thread(server.process.wait, START_SECONDS)
        server.process = None

    @staticmethod
    async def hear_again(server):
        """What waited at the time of the copy waits again."""
        romeo = await Client(server, "romeo").login()
        await romeo.hears_body("before the copy")
        await romeo.logout()

    def test_a_backup_of_postgresql_is_restored(self):
        dump, restore = (shlex.split(line, comments=True) for line in commands(ROOT / "docs/backup.md")
                         if line.startswith("pg_"))
        binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        with tempfile.TemporaryDirectory(prefix="balcony-docs-") as place:
            place = pathlib.Path(place)
            shutil.chown(place, "postgres")
            place.chmod(0o755)

            def as_postgres(*words):
                words = [word.replace("/backup", str(place)) for word in words]
                done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words],
                                      capture_output=True, text=True, cwd=place,
                                      env={"PATH": f"{binaries}:/usr/bin:/bin", "PGHOST": str(place)})
                if done.returncode:
                    raise Failed(f"{words}: {done.stdout}{done.stderr}")
                return done.stdout

            as_postgres("initdb", "--auth=trust", "-D", f"{place}/data")
            as_postgres("pg_ctl", "-D", f"{place}/data", "-w", "-l", f"{place}/log", "-o",
                        f"-c listen_addresses= -c unix_socket_directories={place}", "start")
            try:
                as_postgres("createdb", "balcony")
                as_postgres("psql", "-d", "balcony", "-c", "create table kept (n int); insert into kept values (1)")
                as_postgres(*dump)
                as_postgres("psql", "-d", "balcony", "-c", "insert into kept values (2)")
                as_postgres(*restore)
                self.assertEqual(as_postgres("psql", "-d", "balcony", "-tAc", "select n from kept").split(), ["1"])
            finally:
                as_postgres("pg_ctl", "-D", f"{place}/data", "-m", "immediate", "stop")

    def test_every_command_that_a_page_names_exists_with_its_options(self):
        binary = str(Balcony.binary)
        seen, wrong = set(), []
        for page in PAGES:
            if page.name in ("conformance.md", "configuration.md"):
                continue
            spans = re.findall(r"`(balcony [a-z][^`]*)`", page.read_text())
            for span in [*spans, *(line for line in commands(page) if line.startswith("balcony"))]:
                words = span.replace("[", " ").replace("]", " ").split()[1:]
                verbs = []
                for word in words:
                    if not re.fullmatch("[a-z]+(\\|[a-z]+)*", word) or len(verbs) == 2:
                        break
                    verbs.append(word)
                for verb in self.alternatives(verbs):
                    key = (tuple(verb), tuple(word for word in words if word.startswith("--")))
                    if key in seen:
                        continue
                    seen.add(key)
                    done = subprocess.run([binary, *verb, "--help"], capture_output=True, text=True)
                    missing = [option for option in key[1] if option.partition("=")[0] not in done.stdout]
                    if done.returncode or missing:
                        wrong.append((page.name, span, missing))
        self.assertGreater(len(seen), 12)
        self.assertEqual(wrong, [])

    def test_every_block_is_of_a_kind_that_is_tried(self):
        """By its first line; what is new to this test must be made known to it, or it is not tried by anybody."""
        wrong = []
        for page in ALL_PAGES:
            for language, block in [*fences(page), *(("", block) for block in blocks(page))]:
                first = block.splitlines()[0]
                if language == "toml" or re.match(r"\[|\w+ = ", first):
                    wrong += [(page.name, mistake) for mistake in self.mistakes_of_toml(block)]
                elif language == "xml":
                    ElementTree.fromstring(block.replace("<presence ", "<presence xmlns='jabber:client' ", 1))
                elif "cargo " in first or first.startswith("tests/"):
                    wrong += [(page.name, line) for line in block.splitlines() if not self.can_be_built_or_run(line)]
                elif re.match(r"(balcony|target/release/balcony|sqlite3|pg_dump|SSL_CERT_FILE|python3|import asyncio|/connect)\b",
                              first):
                    pass  # the tests above type them, or what is behind `balcony`
                elif re.match(r"echo .* go-sendxmpp", first):
                    pass  # the quick start
                elif re.match(r"(certbot |#!/bin/sh|[a-z_.-]+\.  +(A|AAAA|SRV) |\S*xmpp\S* +A )", first):
                    pass  # what others do: an authority, DNS
                elif page.name in ("architecture.md", "mistakes.md") or page.parent.name == "conversations":
                    pass  # drawings; what another test has made
                elif page.name == "operations.md" and re.match(r"Balcony \d|In force now:", first):
                    pass  # a test above compares it
                elif 'event="' in block:
                    events = set(re.findall(r'event="([a-z_]+)"', block))
                    wrong += [(page.name, event) for event in events if f'event = "{event}"' not in self.sources()]
                else:
                    wrong.append((page.name, first))
        self.assertEqual(wrong, [])

    def test_what_a_page_names_in_passing_is_there(self):
        """Files, settings and figures between backquotes."""
        settings = set(re.findall(r"^#+ `([^`]+)`$", (ROOT / "docs/configuration.md").read_text(), flags=re.M))
        figures = (ROOT / "docs/metrics.md").read_text()
        sections = {name.partition(".")[0] for name in settings if re.fullmatch(r"\w+\.\w+", name)}
        wrong, seen = [], 0
        for page in ALL_PAGES:
            for span in re.findall(r"`([^`\n]+)`", page.read_text()):
                path = re.fullmatch(r"(crates|deploy|docs|config|tests|migrations)/[\w./*-]+", span)
                setting = re.fullmatch(r"(\w+)\.[a-z0-9_]+", span)
                if path and not any(ROOT.glob(span.rstrip("/"))):
                    wrong.append((page.name, span))
                elif setting and setting[1] in sections and span not in settings and not span.endswith((".py", ".rs", ".md")):
                    wrong.append((page.name, span))
                elif re.match(r"(xmpp|process)_[a-z0-9_]+", span):
                    name = re.match(r"[a-z0-9_]+", span)[0]
                    if (f"`{name}" if name.endswith("_") else f"`{name}`") not in figures:
                        wrong.append((page.name, span))
                else:
                    continue
                seen += 1
        self.assertGreater(seen, 50)
        self.assertEqual(wrong, [])

    def test_the_mistakes_are_as_many_as_pages_say(self):
        mistakes = re.findall("^## ", (ROOT / "docs/mistakes.md").read_text(), flags=re.M)
        self.assertGreater(len(mistakes), 30)
        pages = [page.name for page in ALL_PAGES if "more than thirty mistakes" in page.read_text()]
        self.assertEqual(sorted(set(pages)), ["README.md", "operations.md"])

    def test_links_between_pages_lead_somewhere(self):
        wrong = [(page.name, target) for page in ALL_PAGES
                 for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()) if not (page.parent / target).exists()]
        self.assertEqual(wrong, [])

    def mistakes_of_toml(self, block):
        """A piece of configuration: what `check` says of its settings, whatever it says of files that are elsewhere."""
        tomllib.loads(block)
        with tempfile.TemporaryDirectory(prefix="balcony-docs-") as place:
            file = pathlib.Path(place) / "balcony.toml"
            file.write_text(block)
            done = subprocess.run([str(Balcony.binary), "check", "--config", str(file)], capture_output=True, text=True)
            told = done.stdout + done.stderr
            return re.findall(r".*(?:there is no such setting|: cannot be a).*", told)

    def can_be_built_or_run(self, line):
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S+", words[0]):
            words = words[1:]
        if not words:
            return True
        if words[0] != "cargo":
            return (ROOT / words[0]).is_file() if words[0].startswith("tests/") else words[0] == "xload"
        if "-p" not in words:
            return True
        package = words[words.index("-p") + 1].removeprefix("balcony-")
        place = next(one for one in (ROOT / "crates" / package, ROOT / "tests" / package) if one.is_dir())
        for option, folder in (("--test", "tests"), ("--example", "examples"), ("--bench", "benches")):
            if option in words:
                name = words[words.index(option) + 1]
                manifest = (place / "Cargo.toml").read_text()
                files = (place / folder / f"{name}.rs", place / folder / name / "main.rs")
                if not any(file.exists() for file in files) and f'name = "{name}"' not in manifest:
                    return False
        return True

    @staticmethod
    def sources():
        """All that is ours, as one text."""
        return "".join(file.read_text() for file in (ROOT / "crates").glob("*/src/**/*.rs"))

    @staticmethod
    def alternatives(verbs):
        """`account add|list` is two commands."""
        ways = [[]]
        for verb in verbs:
            ways = [[*way, one] for way in ways for one in verb.split("|")]
        return ways


if __name__ == "__main__":
    unittest.main()
