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

import bosh
import websocket
from servers import DOMAIN, Balcony
from wire import Closed, Refused, Wire, encode, message

OTHER = "capulet.lit"
# Without exemption from limits, which the bystanders have.
ATTACKER = "127.0.9.66"
UNAUTHENTICATED_SECONDS = 3
PER_ADDRESS = 40
# The machine may be busy with other things; a server that is blocked takes for ever.
PATIENCE = 30
# Of a debug build. Each flood goes on until the server ends it, and would be several times as much.
GROWTH_MIB = 24
FLOOD_MIB = 100
TOO_MUCH = "Too much was sent before logging in."
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
        self.heard = b""

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
        """Whether the server has not closed; what it has said so far is in `heard`."""
        self.socket.settimeout(0)
        try:
            while read := self.socket.recv(65536):
                self.heard += read
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
        # What nobody reads waits with the server, not in the kernel.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
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

    @contextlib.asynccontextmanager
    async def ends(self, condition, words):
        """Exactly one stream is ended by the server meanwhile, or soon: with this condition and these words."""
        before = len(self.server.events("stream_ended"))
        yield
        async with asyncio.timeout(PATIENCE):
            while len(ended := self.server.events("stream_ended")[before:]) == 0:
                await asyncio.sleep(0.05)
        self.assertEqual([(line["condition"], line["text"]) for line in ended], [(condition, words)])

    async def flood(self, wired, begin, more):
        """Says `begin`, then `more` again and again, until the server takes no more of it; gives how the stream ended."""
        wired.send(begin)
        more *= (1 << 20) // len(more)
        listener = asyncio.create_task(self.last_word(wired))
        try:
            for _ in range(FLOOD_MIB):
                wired.send(more)
                async with asyncio.timeout(PATIENCE):
                    await wired.writer.drain()
                if listener.done():
                    return await listener
        except ConnectionError:
            pass
        async with asyncio.timeout(PATIENCE):
            return await listener

    async def last_word(self, wired):
        try:
            while True:
                await wired.next()
        except Closed as closed:
            return str(closed)

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
        started = time.monotonic()
        silent, slow, half, direct = strangers = [self.stranger(port) for port in
                                                  (None, None, None, self.server.tls_port)]
        half.say(HEADER + STARTTLS)
        # A record of TLS that promises more than ever comes.
        direct.say(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")
        slow.say(HEADER[:-1])
        # It never ends to say something, and so is never silent. What others have to wait for meanwhile says how slow
        # the machine is.
        closed, slowest = {}, 0
        while len(closed) < len(strangers):
            # In pieces that are not so small that nobody listens to them (limits.unauthenticated_reads).
            slow.say(b" " * 32)
            asked = time.monotonic()
            await self.talk()
            slowest = max(slowest, time.monotonic() - asked)
            for stranger in strangers:
                if stranger not in closed and not stranger.is_open():
                    closed[stranger] = time.monotonic() - started
            await asyncio.sleep(0.02)
        for stranger, seconds in closed.items():
            self.assertGreater(seconds, UNAUTHENTICATED_SECONDS * 0.9)
            self.assertLess(seconds, UNAUTHENTICATED_SECONDS + 5 + 20 * slowest)
        for stranger in (silent, slow):
            self.assertIn(b"<connection-timeout ", stranger.heard)
        for stranger in (half, direct):
            self.assertNotIn(b"<connection-timeout ", stranger.heard, "nothing can be said in a handshake")

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
        for begin, more, why in ((" ", " ", TOO_MUCH), ("<", "a", "limit exceeded: name_bytes"),
                                 ("<a b='", "c", "limit exceeded: stanza_bytes")):
            with self.subTest(begin):
                stranger = Wire(*await asyncio.open_connection("127.0.0.1", self.server.port, local_addr=(ATTACKER, 0)))
                self.addCleanup(stranger.cut)
                async with self.ends("policy-violation", why):
                    self.assertIn("policy-violation", await self.flood(stranger, HEADER.decode() + begin, more))

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
        attributes = " ".join(f"a{n}=''" for n in range(1_000))
        for begin, more, why in (("<message><body>", "o", "stanza_bytes"), ("<message>", "<a>", "depth"),
                                 (f"<message {attributes} ", "b='' ", "attributes"), ("<message>", "<a/>", "children")):
            with self.subTest(begin[:20] + more):
                tybalt = await (await self.tybalt()).bind("foe")
                async with self.ends("policy-violation", f"limit exceeded: {why}"):
                    self.assertIn("policy-violation", await self.flood(tybalt, begin, more))

    async def test_a_client_that_reads_nothing_is_sent_away_and_costs_nobody_anything(self):
        tybalt = await (await self.tybalt()).bind("foe")
        tybalt.send("<presence/>")
        await tybalt.next()
        tybalt.writer.transport.pause_reading()
        async with self.ends("resource-constraint", "the client does not read fast enough"):
            await self.overwhelm(tybalt.jid)

    async def test_a_web_socket_that_is_not_read_is_no_different(self):
        tybalt = await asyncio.to_thread(
            websocket.Session.login, self.server, "tybalt", "secret", address=ATTACKER)
        self.addCleanup(tybalt.wire.close)
        tybalt.send("<presence xmlns='jabber:client'/>")
        address = re.search("to='([^']+)'", await asyncio.to_thread(tybalt.hear, "<presence"))[1]
        async with self.ends("resource-constraint", "the client does not read fast enough"):
            await self.overwhelm(address)

    async def test_a_response_over_bosh_that_is_not_read_is_no_different(self):
        tybalt = await asyncio.to_thread(
            bosh.Session.login, self.server, "tybalt", "secret", "foe", address=ATTACKER)
        await asyncio.to_thread(tybalt.request, "<presence xmlns='jabber:client'/>")
        # Nobody reads what this is answered with.
        tybalt.post()
        self.addCleanup(tybalt.connection.close)
        async with self.ends("resource-constraint", "the client does not read fast enough"):
            await self.overwhelm(f"tybalt@{DOMAIN}/foe")

    async def overwhelm(self, address):
        """Many times what may wait for one client."""
        for number in range(300):
            self.romeo.send(message(address, f"f{number}", "o" * 50_000))
            await self.romeo.writer.drain()

    async def test_a_client_that_asks_and_never_reads_is_not_read_from(self):
        tybalt = await (await self.tybalt()).bind("foe")
        tybalt.writer.transport.pause_reading()
        ping = f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>" * 200
        await self.is_not_read_from(tybalt.writer, ping.encode())

    async def test_requests_of_http_whose_answers_nobody_reads_are_not_read_either(self):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.http_port, local_addr=(ATTACKER, 0), limit=1)
        self.addCleanup(writer.transport.abort)
        ask = f"GET /.well-known/host-meta HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n" * 200
        await self.is_not_read_from(writer, ask.encode())

    async def is_not_read_from(self, writer, words):
        """The server stops to read; what it has not taken stays with who says it, and others talk on."""
        waiting = writer.transport.get_write_buffer_size
        for _ in range(FLOOD_MIB):
            writer.write(words * ((1 << 20) // len(words)))
            before = None
            while waiting() != before:
                before = waiting()
                for _ in range(20):
                    await self.talk()
            if before > 0:
                return
        self.fail(f"{FLOOD_MIB} MiB were taken")

    async def test_who_asks_much_and_reads_the_answers_is_no_enemy(self):
        """The answers are twenty times as long as the questions, and more than may wait for one client."""
        tybalt = await (await self.tybalt()).bind("friend")
        ask = f"<iq type='get' id='d' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        asking = asyncio.create_task(self.say_all(tybalt, [ask * 100] * 30))
        for _ in range(3000):
            async with asyncio.timeout(PATIENCE):
                answer = await tybalt.next()
            self.assertEqual(answer.get("type"), "result")
        await asking

    async def say_all(self, wired, parts):
        for part in parts:
            wired.send(part)
            await wired.writer.drain()

    async def test_a_flood_of_stanzas_leaves_others_undisturbed(self):
        tybalt = await (await self.tybalt()).bind("foe")
        words = "".join(message(self.juliet.jid, f"f{number}", "flood") for number in range(200))
        for _ in range(25):
            tybalt.send(words)
            await self.talk()
