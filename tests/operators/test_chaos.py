"""Ten hosts, fifty other domains, a bad day: what Prometheus and the dashboards see of it, and what looking costs.

The other domains live in a second server, which is killed in the middle; clients lose their connections and come back.
docs/metrics.md, the list of all figures, is compared with what the server tells then; BALCONY_BLESS=1 writes it anew.
"""

import asyncio
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

from servers import Balcony, free_port
from test_prometheus import DASHBOARDS, PATIENCE, SERIES_MAX, Prometheus, fetch, metrics_address, queries, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "docs/metrics.md"
HOSTS = [f"host{n}.lit" for n in range(10)]
PEERS = [f"peer{n}.lit" for n in range(50)]
ROOMS = f"rooms.{HOSTS[0]}"
SM = "urn:xmpp:sm:3"
SCRAPES = 20
TRIES = 5
# Of processor time, in a build for tests; docs/benchmarks.md has the figure of a release.
SCRAPE_SECONDS_MAX = 2


def load(name, path):
    """A module of another folder of the tests, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


wire = load("federation_wire", ROOT / "tests/federation/wire.py")


class Client(wire.Client):
    """A client that can lose its connection and come back."""

    async def manage(self):
        self.send(f"<enable xmlns='{SM}' resume='true'/>")
        enabled = await self.hears(lambda s: s.tag == f"{{{SM}}}enabled", "stream management")
        self.identity = enabled.get("id")

    def lose(self):
        self.listening.cancel()
        self.writer.transport.abort()

    async def resume(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        await self._open()
        await self._scram()
        await self._open()
        self.send(f"<resume xmlns='{SM}' h='0' previd='{self.identity}'/>")
        answer = await self._next()
        assert answer.tag == f"{{{SM}}}resumed", answer.tag
        self.listening = asyncio.ensure_future(self._listen())


class Many(Balcony):
    """A server of many domains; `others` are at a port of loopback."""

    def __init__(self, domains, others, accounts, rooms=None):
        self.domains, self.others, self.rooms = domains, others, rooms
        self.s2s_port = free_port()
        super().__init__(require_tls=False)
        self.accounts = accounts

    def configure(self):
        names = ",".join(f"DNS:{name}" for name in [*self.domains, *([self.rooms] if self.rooms else [])])
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", self.directory / "key.pem", "-out", self.certificate, "-days", "2",
             "-subj", f"/CN={self.domains[0]}", "-addext", f"subjectAltName={names}",
             "-addext", "basicConstraints=critical,CA:FALSE"], check=True, capture_output=True)

    def write(self, roots, port):
        hosts = "".join(f'[hosts."{domain}"]\ncertificate = "cert.pem"\nkey = "key.pem"\n' for domain in self.domains)
        routes = "".join(f'"{domain}" = "127.0.0.1:{port}"\n' for domain in self.others)
        services = f'"{self.rooms}"' if self.rooms else ""
        (self.directory / "balcony.toml").write_text(f"""\
data_dir = "data"
{hosts}
[muc]
services = [{services}]
[storage]
url = "sqlite:data/balcony.db"
[c2s]
listen = ["127.0.0.1:{self.port}"]
listen_tls = ["127.0.0.1:{self.tls_port}"]
require_tls = false
[s2s]
listen = ["127.0.0.1:{self.s2s_port}"]
listen_tls = []
authentication = "certificate"
queue_timeout = "10m"
trusted_roots = ["{roots}"]
private_addresses = ["127.0.0.0/8"]
[s2s.routes]
{routes}
[dns]
servers = ["127.0.0.1:9"]
[components]
listen = []
[http]
listen = []
listen_tls = []
[metrics]
listen = "127.0.0.1:{free_port()}"
[limits]
exempt = ["127.0.0.0/8"]
stranger_messages = "off"
subscriptions_from_strangers = "off"
messages_from_strangers = "off"
stranger_subscriptions = "off"
""")
        for account in self.accounts:
            self.run(self.binary, "account", "add", account, "--password-stdin", "--config", "balcony.toml",
                     stdin="secret\n")

    def client(self, user, domain):
        return Client(user, domain, ("127.0.0.1", self.port)).login()


class BadDay(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.here = Many(HOSTS, PEERS, [f"romeo@{host}" for host in HOSTS], ROOMS)
        cls.there = Many(PEERS, HOSTS, [f"juliet@{PEERS[0]}"])
        for server in (cls.here, cls.there):
            cls.addClassCleanup(shutil.rmtree, server.directory, True)
            cls.addClassCleanup(server.kill)
        cls.here.write(cls.there.certificate, cls.there.s2s_port)
        cls.there.write(cls.here.certificate, cls.here.s2s_port)
        cls.here.start()
        cls.there.start()
        cls.address = metrics_address(cls.here)
        cls.prometheus = cls.enterClassContext(Prometheus(cls.address))
        # What has happened before the first scrape has no increase.
        wait(lambda: cls.prometheus.query("up == 1"), "the first scrape")
        try:
            asyncio.run(cls.day())
        except AssertionError as failure:
            logs = "\n".join(line for server in (cls.here, cls.there) for line in (
                f"--- {server.domains[0]}", *(line for line in server.log.read_text().splitlines()
                                             if "host0" in line and "peer0." in line or "ERROR" in line)))
            raise AssertionError(f"{failure}\n{logs}\n{fetch(f'http://{cls.address}/metrics')[-3000:]}") from failure
        before = cls.scrapes()
        wait(lambda: cls.scrapes() > before + 2, "two scrapes of what has happened")
        wait(lambda: cls.prometheus.query("balcony:sm_resumed:ratio1h"), "the rules to be recorded")

    @classmethod
    def scrapes(cls):
        counts = cls.prometheus.query("count_over_time(up[10m])")
        return int(counts[0]["value"][1]) if counts else 0

    @classmethod
    async def day(cls):
        romeos = [await cls.here.client("romeo", host) for host in HOSTS]
        juliet = await cls.there.client("juliet", PEERS[0])
        # Everybody asks every domain something: 500 links. A few at a time: handshakes have their time, and the machine
        # may have much else to do.
        for peer in PEERS:
            await asyncio.gather(*(cls.reach(romeo, peer) for romeo in romeos))
        romeo, other = romeos[0], romeos[1]
        await romeo.manage()
        romeo.send(f"<presence type='subscribe' to='{juliet.bare}'/>")
        await juliet.hears_presence("subscribe", romeo.bare)
        juliet.send(f"<presence type='subscribed' to='{romeo.bare}'/>")
        await romeo.hears_presence("available", juliet.bare)
        # A room, a call for attention, a block, a message that nobody can have, a wrong password.
        for one, nick in ((romeo, "romeo"), (other, "other")):
            one.send(f"<presence to='hall@{ROOMS}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
            await one.hears_presence("available", f"hall@{ROOMS}")
            await one.ask(f"hall@{ROOMS}", "<query xmlns='http://jabber.org/protocol/muc#owner'>"
                          "<x xmlns='jabber:x:data' type='submit'/></query>", "set")
        juliet.send(f"<message to='{romeo.bare}' type='headline'><attention xmlns='urn:xmpp:attention:0'/></message>")
        await romeo.ask(romeo.bare, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
        await other.ask(other.bare, f"<block xmlns='urn:xmpp:blocking'><item jid='{juliet.bare}'/></block>", "set")
        other.chat(juliet.bare, "not to you")
        await other.hears(lambda s: s.get("type") == "error", "the refusal")
        romeo.chat(HOSTS[0], "Is anybody there?")
        await romeo.hears(lambda s: s.get("type") == "error", "that there is not")
        try:
            await Client("romeo", HOSTS[2], ("127.0.0.1", cls.here.port), password="wrong").login()
        except AssertionError as refusal:
            assert "not-authorized" in str(refusal)
        else:
            raise RuntimeError("a wrong password was taken")
        # The connection breaks, and comes back.
        romeo.lose()
        other.chat(romeo.bare, "while you were away")
        await asyncio.to_thread(wait, lambda: "paused_sm\"} 1" in fetch(f"http://{cls.address}/metrics"), "a pause")
        await romeo.resume()
        await romeo.hears_body("while you were away")
        # The other server breaks; what can wait waits, what cannot comes back.
        await asyncio.to_thread(cls.there.kill)
        romeo.chat(juliet.bare, "are you there?")
        await asyncio.to_thread(
            wait, lambda: f'xmpp_s2s_peer_state{{peer="{PEERS[0]}",state="down"}} 1' in fetch(f"http://{cls.address}/metrics"),
            "the loss to be seen")
        answer = await romeo.ask(juliet.bare, "<ping xmlns='urn:xmpp:ping'/>", seconds=60)
        assert answer.get("type") == "error"
        await asyncio.to_thread(cls.there.start)
        juliet = await cls.there.client("juliet", PEERS[0])
        await juliet.hears_body("are you there?", seconds=300)
        cls.clients = [*romeos, juliet]

    @staticmethod
    async def reach(client, domain):
        for _ in range(TRIES):
            answer = await client.ask(domain, "<ping xmlns='urn:xmpp:ping'/>", seconds=120)
            if answer.get("type") == "result":
                return
        raise AssertionError(wire.ElementTree.tostring(answer))

    def test_every_query_of_the_dashboards_returns_data(self):
        empty = [(dashboard.name, title, expression) for dashboard in DASHBOARDS
                 for title, expression in queries(dashboard)]
        deadline = time.monotonic() + PATIENCE
        # On a machine that is busy a scrape may come too late; the next one brings what is missing.
        while True:
            for query in tuple(empty):
                name, title, expression = query
                result = self.prometheus.query(expression)
                if result:
                    empty.remove(query)
                if result and name == "federation.json":
                    shown = ", ".join(f"{'/'.join(v for k, v in row['metric'].items() if k != '__name__')}={row['value'][1]}"
                                      for row in result[:6])
                    print(f"    {title}: {shown}", flush=True)
            if not empty or time.monotonic() > deadline:
                break
            time.sleep(1)
        self.assertEqual(empty, [])

    def test_series_of_10_hosts_and_50_peers_stay_below_the_bound(self):
        series = self.prometheus.ask("series", **{"match[]": '{job="balcony"}'})
        # Every domain of the other server was spoken to; 50 of them have rows of their own.
        peers = {row["peer"] for row in series if "peer" in row}
        self.assertEqual(len(peers - {"other"}), len(PEERS))
        print(f"    10 hosts, 50 peers: {len(series)} series", flush=True)
        self.assertLess(len(series), SERIES_MAX)

    def test_a_scrape_costs_little(self):
        def cpu():
            fields = (pathlib.Path("/proc") / str(self.here.process.pid) / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        before, started, size = cpu(), time.monotonic(), 0
        for _ in range(SCRAPES):
            size = len(fetch(f"http://{self.address}/metrics"))
        spent, took = (cpu() - before) / SCRAPES, (time.monotonic() - started) / SCRAPES
        print(f"    a scrape: {took * 1e3:.1f} ms, {spent * 1e3:.1f} ms of CPU, {size / 1024:.0f} KiB", flush=True)
        self.assertLess(spent, SCRAPE_SECONDS_MAX)

    def test_promtool_finds_nothing_wrong_with_the_figures(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=fetch(f"http://{self.address}/metrics"),
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_log_of_the_day_can_be_read(self):
        text = self.here.log.read_text()
        told = [line for line in text.splitlines() if f'local="{HOSTS[0]}" remote="{PEERS[0]}"' in line]
        for line in told:
            print(f"    {line}", flush=True)
        states = [state for line in told for state in re.findall(r' state="?([a-z]+)', line)]
        self.assertEqual((states[:1], states[-1:]), (["down"], ["up"]), text[-2000:])
        for secret in ("secret", "while you were away", "are you there?", "not to you"):
            self.assertNotIn(secret, text)

    def test_docs_metrics_lists_what_is_told(self):
        families = {}
        for line in fetch(f"http://{self.address}/metrics").splitlines():
            if line.startswith("# HELP "):
                name, _, help_ = line[7:].partition(" ")
                families[name] = {"help": help_, "labels": set()}
            elif line.startswith("# TYPE "):
                name, _, kind = line[7:].partition(" ")
                families[name]["kind"] = kind
            else:
                name, labels = re.match(r"([a-z0-9_]+)(?:\{(.*)\})? ", line).groups()
                family = next(n for n in (name, re.sub("_(bucket|sum|count)$", "", name)) if n in families)
                names = set(re.findall(r'([a-z_]+)="(?:[^"\\]|\\.)*"', labels or ""))
                families[family]["labels"] |= names - {"le"}
        lines = [
            "# Figures for Prometheus", "",
            "What `metrics.listen` tells at `/metrics`; generated from a running server (`tests/operators/test_chaos.py`).",
            "No label holds a JID or a stream's id. `peer` names the domains of `metrics.peers` and the first 50 others by",
            "traffic; the rest is `other`. `vhost` names hosts and services of rooms, at most 64. Dashboards are in",
            "`deploy/grafana`, rules and alerts in `deploy/prometheus`.", "",
            "`xmpp_task_poll_seconds` is taken by this server itself, of one poll in 16 of connections and of turns of machines;",
            "`xmpp_runtime_delay_seconds` shows the same from outside, how long everybody waits for a worker. How many tasks wait",
            "for each worker tokio tells only in builds with its unstable parts: `xmpp_runtime_queue_depth` is what waits for any.",
            "",
            "| figure | type | labels | |", "|---|---|---|---|",
        ]
        lines += [f"| `{name}` | {family['kind']} | {', '.join(sorted(family['labels']))} | {family['help']} |"
                  for name, family in sorted(families.items())]
        text = "\n".join(lines) + "\n"
        if os.environ.get("BALCONY_BLESS"):
            LIST.write_text(text)
        self.assertEqual(LIST.read_text(), text, "BALCONY_BLESS=1 tests/operators/run test_chaos writes it anew")


if __name__ == "__main__":
    unittest.main()
