"""The figures, rules and dashboards, with a real Prometheus that scrapes a real server."""

import asyncio
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from client import Client
from servers import DOMAIN, Balcony, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/balcony.rules.yml"
METRICS = ROOT / "docs/metrics.md"
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
PATIENCE = 60
SERIES_MAX = 3000


def fetch(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


class Prometheus:
    """Debian's Prometheus, scraping one target each second."""

    def __init__(self, target):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-prometheus-"))
        shutil.copy(RULES, self.directory)
        (self.directory / "prometheus.yml").write_text(f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{RULES.name}]
scrape_configs:
  - job_name: balcony
    static_configs: [{{targets: ["{target}"]}}]
""")
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self.directory / "log").open("wb"))
        wait(lambda: fetch(f"http://{self.address}/-/ready"), "Prometheus to be ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        answer = json.loads(fetch(url))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]


def wait(probe, for_what):
    deadline = time.monotonic() + PATIENCE
    last = None
    while time.monotonic() < deadline:
        try:
            value = probe()
            if value:
                return value
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {for_what}: {last}")


def metrics_address(server):
    text = (server.directory / "balcony.toml").read_text()
    return re.search(r'\[metrics\]\n(?:peers.*\n)?listen = "([^"]+)"', text).group(1)


def queries(dashboard):
    """Every expression of a dashboard, with what Grafana would put in for its variables."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
            yield panel["title"], expression


# Figures that no panel and no rule needs, each with the reason.
SHOWN_NOWHERE = {}


class Rules(unittest.TestCase):
    def promtool(self, *arguments, **options):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_rules_are_sound_and_alert_when_they_should(self):
        self.promtool("check", "rules", RULES)
        self.promtool("test", "rules", RULES.with_name("balcony.rules.test.yml"))

    def test_every_figure_is_in_a_panel_or_a_rule(self):
        shown = " ".join([expression for dashboard in DASHBOARDS for _, expression in queries(dashboard)] + [RULES.read_text()])
        shown = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\b(?:xmpp|process)_[a-z0-9_]+", shown)}
        figures = set(re.findall(r"^\| `([a-z0-9_]+)` \|", METRICS.read_text(), flags=re.M))
        self.assertGreater(len(figures), 60)
        self.assertEqual(figures - shown - set(SHOWN_NOWHERE), set())
        self.assertEqual(set(SHOWN_NOWHERE) & shown, set(), "they need no reason any more")

    def test_the_figures_of_a_server_are_as_prometheus_wants_them(self):
        with Balcony() as server:
            text = fetch(f"http://{metrics_address(server)}/metrics")
            told = self.promtool("check", "metrics", input=text)
            self.assertEqual(told.strip(), "")
            self.assertNotIn("@", text, "an address in a label")


class Everything(Balcony):
    """A server with all that has figures: another domain that is watched by name."""

    def configure(self):
        super().configure()
        file = self.directory / "balcony.toml"
        file.write_text(file.read_text().replace("[metrics]\n", '[metrics]\npeers = ["capulet.lit"]\n'))


class Scraped(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Everything().start()
        cls.addClassCleanup(shutil.rmtree, cls.server.directory, True)
        cls.addClassCleanup(cls.server.stop)
        cls.prometheus = cls.enterClassContext(Prometheus(metrics_address(cls.server)))
        asyncio.run(cls.traffic())
        wait(lambda: cls.prometheus.query("up == 1"), "a scrape")
        # A rate needs two scrapes.
        wait(lambda: cls.prometheus.query("count_over_time(up[1m]) > 2"), "three scrapes")

    @classmethod
    async def traffic(cls):
        """Something of everything that is counted only when it happens: a login, a message to the host itself, which reads none."""
        cls.server.account("romeo", "secret")
        romeo = await Client(cls.server, "romeo").login()
        romeo.chat(DOMAIN, "Is anybody there?")
        await romeo.hears(lambda stanza: stanza["type"] == "error")
        await romeo.logout()

    def test_the_target_is_up_and_no_alert_fires(self):
        rules = self.prometheus.ask("rules")["groups"]
        broken = [rule for group in rules for rule in group["rules"] if rule.get("lastError")]
        self.assertEqual(broken, [])
        self.assertEqual([alert["labels"]["alertname"] for alert in self.prometheus.ask("alerts")["alerts"]
                          if alert["state"] == "firing"], [])

    def test_every_figure_of_a_dashboard_or_a_rule_is_one_that_the_server_has(self):
        known = set(self.prometheus.ask("label/__name__/values"))
        known |= {rule["name"] for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]}
        # What is there only with other servers: test_chaos compares that page with a server that has them.
        there = re.findall(r"`(xmpp_[a-z0-9_]+)", METRICS.read_text())
        known |= {name + suffix for name in there for suffix in ("", "_bucket", "_sum", "_count")}
        asked = {name: title for dashboard in DASHBOARDS for title, expression in queries(dashboard)
                 for name in re.findall(r"\b(?:xmpp|process|balcony)[a-z0-9_:]+", expression)}
        asked |= {name: RULES.name for name in re.findall(r"\bxmpp_[a-z0-9_]+", RULES.read_text())}
        self.assertGreater(len(asked), 20)
        self.assertEqual({name: title for name, title in asked.items() if name not in known}, {})

    def test_every_query_of_the_dashboards_is_understood(self):
        self.assertEqual(len(DASHBOARDS), 6)
        for dashboard in DASHBOARDS:
            for title, expression in queries(dashboard):
                with self.subTest(dashboard=dashboard.name, panel=title):
                    self.prometheus.query(expression)

    def test_series_stay_few(self):
        self.assertLess(len(self.prometheus.ask("series", **{"match[]": '{job="balcony"}'})), SERIES_MAX)


if __name__ == "__main__":
    unittest.main()
