"""Mistakes that operators make: `balcony check` finds each and names the fix.

What it says is docs/mistakes.md; BALCONY_BLESS=1 writes it anew.
"""

import getpass
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from names import NameServer
from servers import Balcony, free_port

BALCONY = Balcony.binary
# Those that show what is no mistake.
FINE = ("test_00", "test_22", "test_30")
QUIET = """
[c2s]
listen = []
listen_tls = []
[s2s]
listen = []
listen_tls = []
[components]
listen = []
[http]
listen = []
listen_tls = []
[limits]
connections = 10
unauthenticated_connections = 10
"""
HOST = '[hosts."montague.lit"]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
NO_METRICS = '[metrics]\nlisten = "off"\n'
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/mistakes.md"
HEAD = """\
# Mistakes, and what `balcony check` says to them

Made by a test (`tests/operators/test_mistakes.py`), which makes each of them; the configuration is `/etc/balcony/balcony.toml`, of
the host `montague.lit`. A server with a mistake that is an error does not start and says the same; warnings keep nobody from
starting. `check` ends with 1 when there is an error.
"""


class Mistakes(unittest.TestCase):
    maxDiff = None
    # What was said, by the name of the mistake.
    said = {}

    @classmethod
    def tearDownClass(cls):
        wanted = [name for name in dir(cls) if re.match(r"test_\d", name) and not name.startswith(FINE)]
        said = {name: told for name, told in cls.said.items() if name in wanted}
        if sorted(said) != wanted:
            return  # only some of them have run
        text = HEAD
        for name, told in sorted(said.items()):
            title = name[len("test_00_"):].replace("_", " ").replace("dns", "DNS")
            text += f"\n## {title[0].upper()}{title[1:]}\n\n" + re.sub("^(?=.)", "    ", told.strip("\n"), flags=re.M) + "\n"
        if os.environ.get("BALCONY_BLESS"):
            PAGE.write_text(text)
        if PAGE.read_text() != text:
            raise AssertionError(f"{PAGE} is not what check says: BALCONY_BLESS=1 tests/operators/run test_mistakes")

    def tell(self, told, **changing):
        """Keeps what was said for the page, without what changes from run to run."""
        told = told.replace(str(self.directory), "/etc/balcony")
        # What listens at nobody's address is the network's affair; the clock goes on, and so do schemas.
        told = re.sub(r"(240\.0\.0\.1:5269\)?), .*", r"\1, where nobody answers", told)
        told = told.replace("If a router forwards port 5269 to this machine, all is well. If not: ", "")
        told = re.sub(r"\(20\d\d-\d\d-\d\d \d\d:\d\d UTC\)", "(NOW)", told)
        told = re.sub(r"schemas up to \d+", "schemas up to NEWEST", told)
        for word, value in changing.items():
            told = told.replace(str(value), {"port": "9568", "database": "5432"}.get(word, word.upper()))
        self.said[self._testMethodName] = told

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-mistakes-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.certificate("cert.pem", "key.pem", "montague.lit")

    def certificate(self, chain, key, name, *options):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", self.directory / key, "-out", self.directory / chain, "-subj", f"/CN={name}",
                        "-addext", f"subjectAltName=DNS:{name}", *(options or ("-days", "90"))],
                       check=True, capture_output=True)
        (self.directory / key).chmod(0o600)

    def check(self, configuration=HOST + NO_METRICS, quiet=QUIET):
        (self.directory / "balcony.toml").write_text((quiet if "[components" not in configuration else quiet.replace("[components]\nlisten = []\n", "")) + configuration)
        done = subprocess.run([BALCONY, "check"], cwd=self.directory, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "LC_ALL": "C"})
        return done.returncode, done.stdout + done.stderr

    def finds(self, configuration, *words, code=1, quiet=QUIET, **changing):
        got, told = self.check(configuration, quiet)
        self.tell(told, **changing)
        for word in words:
            self.assertIn(word, told)
        self.assertEqual(got, code, told)

    def test_00_without_a_mistake_there_is_nothing_to_tell(self):
        code, told = self.check()
        self.assertEqual(code, 0, told)

    def test_01_a_key_of_another_certificate(self):
        self.certificate("other.pem", "key.pem", "montague.lit")
        self.finds(HOST + NO_METRICS, "key", "belong")

    def between(self, start, end):
        """A certificate that is valid from one moment to another."""
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.directory / "key.pem", "-out", self.directory / "request.pem", "-subj", "/CN=montague.lit",
                        "-addext", "subjectAltName=DNS:montague.lit"], check=True, capture_output=True)
        (self.directory / "index.txt").write_text("")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca = a\n[a]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n"
            "policy = p\ncopy_extensions = copy\nunique_subject = no\n[p]\ncommonName = supplied\n")
        subprocess.run(["openssl", "ca", "-batch", "-config", "ca.cnf", "-selfsign", "-in", "request.pem", "-keyfile", "key.pem",
                        "-out", "cert.pem", "-notext", "-startdate", start, "-enddate", end],
                       cwd=self.directory, check=True, capture_output=True)
        (self.directory / "key.pem").chmod(0o600)

    def test_02_an_expired_certificate(self):
        self.between("20200101000000Z", "20200201000000Z")
        self.finds(HOST + NO_METRICS, "expired", "2020-02-01")

    def test_03_a_certificate_for_another_name(self):
        self.certificate("cert.pem", "key.pem", "capulet.lit")
        self.finds(HOST + NO_METRICS, "montague.lit", "capulet.lit")

    def test_04_a_certificate_that_is_not_there(self):
        (self.directory / "cert.pem").unlink()
        self.finds(HOST + NO_METRICS, "cert.pem")

    def test_05_certificate_and_key_exchanged(self):
        self.finds(HOST.replace("cert.pem", "x").replace("key.pem", "cert.pem").replace('"x"', '"key.pem"') + NO_METRICS,
                   "exchanged")

    def test_06_a_key_that_everybody_can_read(self):
        (self.directory / "key.pem").chmod(0o644)
        self.directory.chmod(0o755)
        self.finds(HOST + NO_METRICS, "chmod", code=0)

    def test_07_a_slip_of_the_pen(self):
        self.finds(HOST.replace("certificate", "certifcate") + NO_METRICS, 'Did you mean "certificate"?')

    def test_08_a_setting_in_the_wrong_section(self):
        self.finds(HOST + "require_tls = true\n" + NO_METRICS, "belongs to [c2s]")

    def test_09_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.finds(f'{HOST}[metrics]\nlisten = "127.0.0.1:{port}"\n', "Another program has it", f":{port}", port=port)

    def test_10_an_address_that_this_machine_does_not_have(self):
        self.finds(f'{HOST}[metrics]\nlisten = "192.0.2.1:9568"\n', "no address of this machine")

    def test_11_a_database_that_is_not_reached(self):
        port = free_port()
        self.finds(f'{HOST}{NO_METRICS}[storage]\nurl = "postgres://balcony@127.0.0.1:{port}/balcony"\n',
                   "cannot reach the database", database=port)

    def test_12_a_file_that_is_no_database(self):
        (self.directory / "some.db").write_text("no database, whatever its name says" * 100)
        self.finds(f'{HOST}{NO_METRICS}[storage]\nurl = "sqlite:some.db"\n', "database")

    def test_13_a_password_in_the_address_of_the_database(self):
        code, told = self.check(f'{HOST}{NO_METRICS}[storage]\nurl = "postgres://balcony:verona@127.0.0.1/balcony"\n')
        self.tell(told)
        self.assertEqual(code, 1)
        self.assertIn("password_file", told)
        self.assertNotIn("verona", told)

    def test_14_one_domain_twice(self):
        self.finds(HOST + '[hosts."Montague.LIT"]\n' + NO_METRICS, "twice")

    def test_15_no_host_at_all(self):
        self.finds(NO_METRICS, "hosts")

    def test_16_a_data_directory_that_cannot_be(self):
        (self.directory / "data").write_text("a file")
        self.finds(HOST + NO_METRICS, "data_dir")

    def test_17_a_number_without_its_unit(self):
        self.finds(HOST + NO_METRICS + '[sm]\nsettle_after = 5\n', "sm.settle_after")

    def test_18_a_room_service_that_is_also_a_host(self):
        self.finds(HOST + NO_METRICS + '[muc]\nservices = ["montague.lit"]\n', "montague.lit")

    def test_19_a_room_service_that_no_certificate_names(self):
        self.finds(HOST + NO_METRICS + '[muc]\nservices = ["rooms.montague.lit"]\n', "no certificate names rooms.montague.lit", code=0)

    def test_20_a_second_server_on_the_same_data(self):
        with Balcony() as server:
            done = subprocess.run([BALCONY, "run", "--config", "balcony.toml"], cwd=server.directory, capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("is held by process", done.stderr)
            self.tell(done.stderr.replace(str(server.directory), "/etc/balcony"), pid=server.process.pid)

    def test_21_a_secret_of_a_component_that_is_not_there(self):
        self.finds(HOST + NO_METRICS + '[components.domains."bridge.montague.lit"]\nsecret_file = "gone.secret"\n',
                   "gone.secret")

    # DNS, as a name server of the lab tells it. Every address of loopback is one of this machine; 240.0.0.1 is nobody's.

    def finds_in_dns(self, place, *words, port=5269, names=("127.0.7.1", 5300)):
        served = {"montague.lit": place} if place else {}
        server = NameServer(names, served)
        self.addCleanup(server.close)
        self.finds(f'{HOST}{NO_METRICS}', *words, code=0, quiet=QUIET.replace(
            "[s2s]\nlisten = []", f'[dns]\nservers = ["{names[0]}:{names[1]}"]\n[s2s]\nlisten = ["127.0.7.11:{port}"]'))

    def test_22_dns_that_is_right(self):
        self.finds_in_dns(("127.0.7.11", 5269, None), "nothing is wrong")

    def test_23_dns_that_leads_elsewhere(self):
        self.finds_in_dns(("240.0.0.1", 5269, None), "leads other servers to montague.lit (240.0.0.1:5269)",
                          "_xmpp-server._tcp.montague.lit. IN SRV 0 5 5269")

    def test_24_a_missing_service_record_where_the_domain_itself_is_a_web_site(self):
        self.finds_in_dns(("240.0.0.1", None, None), "montague.lit has no record _xmpp-server._tcp", "240.0.0.1:5269",
                          "_xmpp-server._tcp.montague.lit. IN SRV 0 5 5269")

    def test_25_a_missing_service_record_with_a_port_of_ones_own(self):
        self.finds_in_dns(("127.0.7.11", None, None), "where this server does not listen",
                          "_xmpp-server._tcp.montague.lit. IN SRV 0 5 5299", port=5299)

    def test_26_a_domain_that_dns_does_not_know(self):
        self.finds_in_dns(None, "other servers find nothing about montague.lit in DNS", "Make in DNS")

    def test_27_a_name_server_that_does_not_answer_keeps_nobody_from_starting(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.7.1", 5302))
            self.finds(f'{HOST}{NO_METRICS}', "it is not known whether others find this server", code=0, quiet=QUIET.replace(
                "[s2s]\nlisten = []", '[dns]\nservers = ["127.0.7.1:5302"]\n[s2s]\nlisten = ["127.0.7.11:5269"]'))

    def test_28_a_clock_that_is_behind(self):
        self.between("20910101000000Z", "20920101000000Z")
        self.finds(HOST + NO_METRICS, "2091-01-01", "clock")

    def test_29_a_database_of_a_newer_version(self):
        self.check(HOST + NO_METRICS)
        account = subprocess.run([BALCONY, "account", "add", "romeo@montague.lit", "--password-stdin"], cwd=self.directory,
                                 input="secret\n", capture_output=True, text=True)
        self.assertEqual(account.returncode, 0, account.stderr)
        subprocess.run(["sqlite3", self.directory / "data/balcony.db",
                        "insert into _sqlx_migrations select 9000, description, installed_on, success, checksum, "
                        "execution_time from _sqlx_migrations limit 1"], check=True)
        self.finds(HOST + NO_METRICS, "newer")

    def test_30_relative_paths_are_those_of_the_configuration(self):
        (self.directory / "balcony.toml").write_text(QUIET + HOST + NO_METRICS)
        done = subprocess.run([BALCONY, "check", "--config", self.directory / "balcony.toml"], cwd="/",
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.finds(HOST.replace("cert.pem", "../cert.pem") + NO_METRICS, f"{self.directory}/../cert.pem")

    COMPONENT = '[components]\nlisten = ["127.0.7.11:5347"]\n[components.domains."bridge.montague.lit"]\nsecret_file = "secret"\n'

    def test_31_a_component_that_no_certificate_names(self):
        (self.directory / "secret").write_text("sesame")
        (self.directory / "secret").chmod(0o600)
        self.finds(HOST + NO_METRICS + self.COMPONENT, "no certificate names bridge.montague.lit", code=0)

    def test_32_a_component_that_dns_does_not_know(self):
        (self.directory / "secret").write_text("sesame")
        (self.directory / "secret").chmod(0o600)
        self.certificate("cert.pem", "key.pem", "montague.lit,DNS:bridge.montague.lit")
        server = NameServer(("127.0.7.1", 5300), {"montague.lit": ("127.0.7.11", 5269, None)})
        self.addCleanup(server.close)
        self.finds(HOST + NO_METRICS + self.COMPONENT, "other servers find nothing about bridge.montague.lit in DNS",
                   "Make in DNS: _xmpp-server._tcp.bridge.montague.lit. IN SRV 0 5 5269", code=0, quiet=QUIET.replace(
                       "[s2s]\nlisten = []", '[dns]\nservers = ["127.0.7.1:5300"]\n[s2s]\nlisten = ["127.0.7.11:5269"]'))

    def test_33_a_route_to_where_nobody_listens(self):
        self.finds(HOST + NO_METRICS + '[s2s.routes]\n"capulet.lit" = "127.0.7.11:9"\n',
                   "the route to capulet.lit leads to 127.0.7.11:9, where connections are refused", code=0)

    def test_34_a_certificate_without_that_of_its_issuer(self):
        """What certbot calls cert.pem, in place of fullchain.pem."""
        self.certificate("root.pem", "root.key", "An Authority", "-days", "90", "-addext", "basicConstraints=critical,CA:TRUE")
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.directory / "key.pem", "-out", self.directory / "request.pem", "-subj", "/CN=montague.lit",
                        "-addext", "subjectAltName=DNS:montague.lit"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", self.directory / "request.pem", "-CA", self.directory / "root.pem",
                        "-CAkey", self.directory / "root.key", "-CAcreateserial", "-copy_extensions", "copy", "-days", "90",
                        "-out", self.directory / "cert.pem"], check=True, capture_output=True)
        (self.directory / "key.pem").chmod(0o600)
        self.finds(HOST + NO_METRICS, "An Authority", "fullchain.pem", code=0)

    def test_35_a_key_that_the_server_may_not_read(self):
        """Somebody else's, as far as this process is concerned: root reads everything, unless it gives that right away."""
        key, wrapper = self.directory / "key.pem", []
        if os.geteuid() == 0:
            os.chown(key, 65534, 65534)
            wrapper = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        else:
            key.chmod(0)
        (self.directory / "balcony.toml").write_text(QUIET + HOST + NO_METRICS)
        done = subprocess.run([*wrapper, BALCONY, "check"], cwd=self.directory, capture_output=True, text=True, timeout=60)
        told = done.stdout + done.stderr
        self.tell(told.replace(f'runs as "{getpass.getuser()}"', 'runs as "balcony"').replace(
            f"-o {getpass.getuser()} -m", "-o balcony -m"))
        self.assertEqual(done.returncode, 1, told)
        self.assertIn("permission denied", told)
        self.assertIn("make the file readable", told)

    def test_36_a_certificate_that_is_not_the_one_in_DNS(self):
        """TLSA records, of which servers make use that look for certificates in DNS."""
        key = subprocess.run(["openssl", "pkey", "-in", self.directory / "key.pem", "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        service = "_5269._tcp.montague.lit"
        known, foreign = (b"\x03\x01\x01" + hashlib.sha256(named).digest() for named in (key, b"that of last year"))
        server = NameServer(("127.0.7.1", 5300), {"montague.lit": ("127.0.7.11", 5269, None)}, certificates={})
        self.addCleanup(server.close)
        quiet = QUIET.replace("[s2s]\nlisten = []",
                              '[dns]\nservers = ["127.0.7.1:5300"]\n[s2s]\nlisten = ["127.0.7.11:5269"]')
        # In a change of keys both are there.
        server.certificates = {service: [foreign, known]}
        self.finds(HOST + NO_METRICS, "nothing is wrong", code=0, quiet=quiet)
        server.certificates = {service: [foreign]}
        made = f"Make in DNS: {service}. IN TLSA 3 1 1 "
        self.finds(HOST + NO_METRICS, "name another certificate", made + known[3:].hex(), code=0, quiet=quiet)
        self.said[self._testMethodName] = self.said[self._testMethodName].replace(known[3:].hex(), "SHA-256-OF-THE-KEY")


if __name__ == "__main__":
    unittest.main()
