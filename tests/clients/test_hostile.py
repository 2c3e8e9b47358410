"""Hostile clients: whatever one address does, the server stays small, two people here talk undisturbed, and the log says
what happened. What is wrong in single words is in tests/conversations/*/bad_input.script; here it is about time, numbers
and sockets."""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import time
import unittest

from servers import DOMAIN, Balcony
from wire import Closed, Refused, Wire, encode, message

OTHER = "capulet.lit"
# Without exemption from limits, which the bystanders have.
ATTACKER = "127.0.9.66"
UNAUTHENTICATED_SECONDS = 3
PER_ADDRESS = 40
# The machine may be busy with other things; a server that is blocked takes for ever.
PATIENCE = 30
# Of a debug build. Each attack sends more than that, or would have the server keep more.
GROWTH_MIB = 48
HEADER = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>").encode()
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


class House(Balcony):
    """Limits as they are, but for those that would take a test long to reach."""

    def configure(self):
        super().configure()
        file = self.directory / "balcony.toml"
        text = file.read_text().replace('exempt = ["127.0.0.0/8"]', f"""\
exempt = ["127.0.0.1/32"]
unauthenticated_time = "{UNAUTHENTICATED_SECONDS}s"
connections_per_address = {PER_ADDRESS}
login_attempts_per_address = "8/1h"
mailbox_bytes = "512KiB\"""")
        text = text.replace("[muc]", f'[hosts."{OTHER}"]\n[muc]')
        file.write_text(text + '[log]\nformat = "json"\nlevel = "info"\n')

    def events(self, name):
        """Log lines with this event."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        lines = (line | line.get("fields", {}) for line in lines)
        return [line for line in lines if line.get("event") == name]

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


class Stranger:
    """A socket that says what it is told to say."""

    def __init__(self, port, address=ATTACKER):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))

    def say(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:
            pass

    def hear(self):
        """Everything until the server closes."""
        heard = b""
        try:
            while read := self.socket.recv(65536):
                heard += read
        except ConnectionError:
            pass
        return heard

    def is_open(self):
        self.socket.settimeout(0)
        try:
            while self.socket.recv(65536):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self):
        self.socket.close()


class Hostile(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = House().start()
        cls.addClassCleanup(cls.server.__exit__)
        for user in ("romeo", "juliet", "tybalt"):
            cls.server.account(user, "secret")

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)
        self.romeo = await self.bystander("romeo")
        self.juliet = await self.bystander("juliet")
        self.number = 0
        await self.talk()
        self.before = self.server.resident()

    async def asyncTearDown(self):
        """Nobody was disturbed, and nothing big is kept."""
        await self.talk()
        grown = self.server.resident() - self.before
        self.assertLess(grown, GROWTH_MIB)

    async def bystander(self, user):
        wired = await Wire.connect(self.server, tls=True)
        self.addCleanup(wired.cut)
        await wired.login(user, "secret")
        await wired.bind("bystander")
        wired.send("<presence/>")
        return wired

    async def talk(self):
        self.number += 1
        self.romeo.send(message(self.juliet.jid, f"t{self.number}", "still here"))
        async with asyncio.timeout(PATIENCE):
            while (await self.juliet.next()).get("id") != f"t{self.number}":
                pass

    def stranger(self, port=None):
        stranger = Stranger(port or self.server.port)
        self.addCleanup(stranger.close)
        return stranger

    async def connect(self, address=ATTACKER):
        connection = socket.create_connection(("127.0.0.1", self.server.tls_port), PATIENCE, (address, 0))
        connection.setblocking(False)
        security = ssl.create_default_context(cafile=self.server.certificate)
        wired = Wire(*await asyncio.open_connection(sock=connection, ssl=security, server_hostname=DOMAIN))
        self.addCleanup(wired.cut)
        return wired

    async def tybalt(self):
        """A client that has logged in, from the address of the attacker."""
        return await (await self.connect()).login("tybalt", "secret")

    async def logged(self, event, words):
        """A line of this event that has the words is in the log, or will be soon."""
        async with asyncio.timeout(PATIENCE):
            while not any(words in json.dumps(line) for line in self.server.events(event)):
                await asyncio.sleep(0.05)

    # ---- before login ----

    async def test_rfc6120_5_4_3_3_plaintext_behind_starttls_is_not_taken_for_something_inside(self):
        stranger = self.stranger()
        stranger.say(HEADER + STARTTLS + HEADER)
        heard = await asyncio.to_thread(stranger.hear)
        self.assertIn(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", heard)
        self.assertNotIn(b"<proceed", heard)

    async def test_rfc6120_5_4_3_3_plaintext_after_proceed_ends_the_connection(self):
        stranger = self.stranger()
        stranger.say(HEADER)
        stranger.say(STARTTLS)
        heard = b""
        while b"<proceed" not in heard:
            heard += await asyncio.to_thread(stranger.socket.recv, 4096)
        stranger.say(HEADER)
        rest = await asyncio.to_thread(stranger.hear)
        # An alert of TLS, but no word of XMPP.
        self.assertNotIn(b"<", rest)

    async def test_who_is_silent_or_slow_or_stops_in_the_handshake_is_closed_in_time(self):
        silent, slow, half, direct = (self.stranger(port) for port in
                                      (None, None, None, self.server.tls_port))
        half.say(HEADER + STARTTLS)
        # A record of TLS that promises more than ever comes.
        direct.say(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")
        started = time.monotonic()
        for octet in HEADER[:-1]:
            slow.say(bytes([octet]))
            await asyncio.sleep(2 * UNAUTHENTICATED_SECONDS / len(HEADER))
        for stranger in (silent, slow, half, direct):
            await asyncio.to_thread(stranger.hear)
        self.assertLess(time.monotonic() - started, UNAUTHENTICATED_SECONDS + PATIENCE)
        await self.logged("stream_ended", "connection-timeout")

    async def test_connections_of_one_address_are_limited(self):
        strangers = [self.stranger() for _ in range(4 * PER_ADDRESS)]
        async with asyncio.timeout(PATIENCE):
            while sum(stranger.is_open() for stranger in strangers) > PER_ADDRESS:
                await asyncio.sleep(0.05)
        for stranger in strangers:
            stranger.close()
        await self.logged("limit_reached", "one address has as many connections as it may")
        self.assertLess(len(self.server.events("limit_reached")), PER_ADDRESS, "a flood is not a flood of lines")

    async def test_what_is_said_before_login_is_limited(self):
        for words in (b" " * 10_000_000, b"<" + b"a" * 10_000_000, b"<a b='" + b"c" * 10_000_000):
            stranger = self.stranger()
            stranger.say(HEADER + words)
            await asyncio.to_thread(stranger.hear)
        await self.logged("stream_ended", "policy-violation")

    async def test_who_comes_to_the_wrong_port_is_told_to_the_operator(self):
        stranger = self.stranger(self.server.tls_port)
        stranger.say(HEADER)
        await asyncio.to_thread(stranger.hear)
        await self.logged("wrong_port", "c2s.listen_tls")
        stranger = self.stranger()
        security = ssl.create_default_context(cafile=self.server.certificate)
        with self.assertRaises(OSError):
            await asyncio.to_thread(security.wrap_socket, stranger.socket, server_hostname=DOMAIN)
        await self.logged("wrong_port", "STARTTLS")

    async def test_guessing_passwords_is_limited_by_stream_and_by_address(self):
        guesser, conditions = "127.0.9.67", []
        for _ in range(4):
            with contextlib.suppress(OSError):
                wired = await self.connect(guesser)
                try:
                    await wired.open()
                    while True:
                        with contextlib.suppress(Refused):
                            conditions.append("guess")
                            await wired.scram("tybalt", "wrong", "SCRAM-SHA-1")
                except Closed as closed:
                    conditions.append(str(closed))
        self.assertIn("policy-violation", conditions)
        self.assertLess(conditions.count("guess"), 4 * 6, conditions)
        # Even the right password is not looked at; from elsewhere it is.
        with self.assertRaises((Refused, Closed, OSError)):
            await (await self.connect(guesser)).login("tybalt", "secret")
        await self.tybalt()
        await self.logged("limit_reached", "logins from one address fail too often")

    async def test_rfc6120_6_3_8_nobody_logs_in_as_somebody_else(self):
        wired = await self.connect()
        await wired.open()
        words = encode(b"juliet@montague.lit\0tybalt\0secret")
        wired.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{words}</auth>")
        with self.assertRaisesRegex(Refused, "invalid-authzid"):
            await wired.answer("success")

    # ---- after login ----

    async def test_the_identity_fixes_the_host(self):
        wired = await self.connect()
        await wired.open()
        await wired.scram("tybalt", "secret", "SCRAM-SHA-1")
        wired.restart()
        wired.send(HEADER.decode().replace(DOMAIN, OTHER))
        with self.assertRaises(Closed) as closed:
            await wired.next()
        self.assertRegex(str(closed.exception), "host-unknown|not-authorized|invalid-from")

    async def test_rfc6120_4_9_3_9_a_lie_about_from_ends_the_stream(self):
        tybalt = await (await self.tybalt()).bind("foe")
        tybalt.send(f"<message from='juliet@{DOMAIN}' to='romeo@{DOMAIN}'><body>Come</body></message>")
        with self.assertRaisesRegex(Closed, "invalid-from"):
            await tybalt.next()
        await self.logged("stream_ended", "invalid-from")

    async def test_stanzas_that_are_too_large_or_too_deep_end_the_stream_whatever_comes(self):
        for words in ("<message><body>" + "o" * 20_000_000, "<message>" + "<a>" * 5_000_000,
                      "<message " + " ".join(f"a{n}=''" for n in range(1_000_000)),
                      "<message>" + "<a/>" * 5_000_000):
            with self.subTest(words[:20]):
                tybalt = await (await self.tybalt()).bind("foe")
                tybalt.send(words)
                async with asyncio.timeout(PATIENCE):
                    with self.assertRaises(Closed):
                        await tybalt.next()
        await self.logged("stream_ended", "policy-violation")

    async def test_a_client_that_reads_nothing_is_sent_away_and_costs_nobody_anything(self):
        tybalt = await (await self.tybalt()).bind("foe")
        tybalt.send("<presence/>")
        await tybalt.next()
        tybalt.writer.transport.pause_reading()
        for number in range(300):
            self.romeo.send(message(tybalt.jid, f"f{number}", "o" * 50_000))
        await self.logged("stream_ended", "does not read fast enough")

    async def test_a_client_that_asks_and_never_reads_is_not_read_from(self):
        tybalt = await (await self.tybalt()).bind("foe")
        tybalt.writer.transport.pause_reading()
        ping = f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>" * 200
        for _ in range(300):
            tybalt.send(ping)
            await asyncio.sleep(0)
        for _ in range(5):
            await self.talk()

    async def test_a_flood_of_stanzas_leaves_others_undisturbed(self):
        tybalt = await (await self.tybalt()).bind("foe")
        words = "".join(message(self.juliet.jid, f"f{number}", "flood") for number in range(200))
        for _ in range(25):
            tybalt.send(words)
            await self.talk()
