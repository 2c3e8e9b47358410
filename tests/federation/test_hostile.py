"""Hostile servers: whatever one address does, the server stays small and two people here talk undisturbed.

Each test attacks with real sockets for a few seconds, from an address without exemption from limits, and prints what
the attack cost. Limits are those of a server that nobody has configured, but for the queue, which would take long to fill.
"""

import asyncio
import multiprocessing
import os
import socket
import time
import unittest

from hostile import Meter, Refused, STREAM, Server, Stranger, Victim
from servers import Balcony, C2S, Lab, METRICS, S2S, S2S_TLS
from wire import Client

HERE, ATTACKER, ADDRESS = "montague.lit", "evil.lit", "127.0.7.66"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
# Longer attacks tell more about what they cost: ATTACK_SECONDS=20 with a release build on a quiet machine.
SECONDS = float(os.environ.get("ATTACK_SECONDS", "2"))
# Stanzas that may wait for one domain.
QUEUE = 100
HEADER = STREAM.format(ATTACKER, HERE).encode().replace(b" from=", b" " * 10_000 + b" from=")

# Of a debug build too. The stated limits of one address allow for less than half of it.
GROWTH_MIB = 24
# So many messages at least are exchanged during an attack.
MESSAGES = 10
# How long a limit may take to be reached, or to be given back.
PATIENCE = 60
# The machine may be busy with other things; a server that is blocked takes for ever.
LATENCY_SECONDS = 15


class Hostile(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)
        self.at = Lab()
        self.addCleanup(self.at.stop)
        self.here = self.at.server(Balcony, HERE, "127.0.7.11", exempt=["127.0.0.1/32"], log="info",
                                   limits=f"s2s_queue_stanzas = {QUEUE}")
        self.certificates = self.at.directory / ATTACKER
        self.certificates.mkdir()
        self.at.authority.issue(ATTACKER, self.certificates)
        self.at.domains["*." + ATTACKER] = self.at.domains[ATTACKER] = (ADDRESS, S2S, None)
        self.at.start()
        self.target = (self.here.address, S2S)
        self.romeo = await Client("romeo", HERE, self.here.c2s).login()
        self.juliet = await Client("juliet", HERE, self.here.c2s, "balcony").login()
        self.opened, self.facts = [], {}
        self.enough = multiprocessing.Event()

    def keep(self, connection):
        self.opened.append(connection)
        return connection

    def server(self, domain=ATTACKER, **options):
        return self.keep(Server(ADDRESS, self.target, domain, HERE, self.certificates, **options))

    def stay_open(self, connections, most):
        """How many of them the server leaves open, once there are no more than it may; it may be slow."""
        deadline = time.monotonic() + PATIENCE
        while (count := sum(connection.is_open() for connection in connections)) > most and time.monotonic() < deadline:
            time.sleep(0.05)
        return count

    async def attack(self, name, what, growth=GROWTH_MIB, until_reached=None):
        """Runs `what(until)` in a process of its own while Romeo and Juliet talk: for some seconds, or until the limit is
        reached that the attack is made for.
        """
        await self.say("before")
        ours, theirs = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")
        attack = fork.Process(target=lambda: theirs.send((what(until), self.facts)))
        meter = Meter(self.here.process.pid)
        at_least = time.monotonic() + SECONDS
        until = time.monotonic() + PATIENCE if until_reached else at_least
        attack.start()
        self.addCleanup(attack.kill)
        slowest, number = 0, 0
        while (not ours.poll() and attack.is_alive() or not self.enough.is_set() and time.monotonic() < until
               or number < MESSAGES):
            if until_reached and time.monotonic() > at_least and await until_reached():
                self.enough.set()
            number += 1
            slowest = max(slowest, await self.say(f"number {number}"))
            meter.look()
            await asyncio.sleep(0.05)
        self.assertTrue(ours.poll(), "the attack failed")
        told, self.facts = ours.recv()
        print(f"    {name}: {told}; {meter.grown:+.1f} MiB, {meter.share:.0%} of a core; {number} messages here, "
              f"the slowest after {slowest * 1000:.0f} ms", flush=True)
        self.assertLess(meter.grown, growth)
        self.assertLess(slowest, LATENCY_SECONDS)

    def answer_to(self, text):
        """How a stream ends on which this is said. Connections that were just closed count until that is seen: then it is
        tried again.
        """
        deadline, answer = time.monotonic() + PATIENCE, "resource-constraint"
        while "resource-constraint" in answer and time.monotonic() < deadline:
            try:
                connection = self.server().login()
                connection.send(text)
                answer = connection.until(b"</stream:stream>")
            except (OSError, Refused):
                # Few enough to be no attack of another kind.
                time.sleep(1)
        return answer

    async def say(self, body):
        started = time.monotonic()
        self.romeo.chat(self.juliet.jid, body)
        await self.juliet.hears_body(body, self.romeo.bare)
        return time.monotonic() - started

    def bounced(self):
        """What came back to Romeo because too much waits."""
        return [s for s in self.romeo.heard if s.get("type") == "error" and s.find(f".//{STANZAS}resource-constraint") is not None]

    async def metric(self, name, **labels):
        """The sum of a metric's rows that have these labels."""
        reader, writer = await asyncio.open_connection(self.here.address, METRICS)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        rows = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(row.split()[-1]) for row in rows if all(label in row for label in wanted))

    async def dribble(self, port, header, most):
        """Connections that send their header octet by octet; so many may be open."""
        target = (self.here.address, port)

        def flood(until):
            came = 0
            dribbling = {}
            while time.monotonic() < until and not self.enough.is_set():
                if came < 400:
                    came += 1
                    dribbling[self.keep(Stranger(ADDRESS, target))] = 0
                for connection, sent in list(dribbling.items()):
                    try:
                        connection.send(header[sent:sent + 1] or b" ")
                        dribbling[connection] += 1
                    except OSError:
                        del dribbling[connection]
            self.facts["open"] = self.stay_open(self.opened, most)
            return f"{came} connections, {self.facts['open']} stay open"

        async def is_read_more_slowly():
            return await self.metric("xmpp_limits_rejected_total", limit="reads") > 0

        await self.attack(f"dribbled headers at port {port}", flood, until_reached=is_read_more_slowly)
        self.assertLessEqual(self.facts["open"], most)
        self.assertTrue(await is_read_more_slowly(), "limits.unauthenticated_reads was never reached")

    async def test_a_flood_of_connections_that_dribble_their_header(self):
        await self.dribble(S2S, HEADER, 32)
        self.assertGreater(await self.metric("xmpp_limits_rejected_total", limit="ip"), 0)

    async def test_a_flood_of_clients_that_dribble_their_header(self):
        await self.dribble(C2S, HEADER.replace(b"jabber:server", b"jabber:client"), 256)

    async def test_half_open_connections_that_say_nothing_or_stop_in_the_tls_handshake(self):
        def stop_half_way(until):
            came = 0
            while time.monotonic() < until and came < 200:
                came += 1
                port = S2S_TLS if came % 2 else S2S
                connection = self.keep(Stranger(ADDRESS, (self.here.address, port)))
                if port == S2S_TLS:
                    # A record of TLS that promises more than ever comes.
                    connection.send(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")
            self.facts["open"] = self.stay_open(self.opened, 32)
            return f"{came} connections, {self.facts['open']} stay open"

        await self.attack("half-open connections", stop_half_way)
        self.assertLessEqual(self.facts["open"], 32)

    async def test_a_flood_of_dialback_provokes_few_connections(self):
        victim = Victim((ADDRESS, S2S))
        self.addCleanup(victim.close)

        def flood(until):
            asked, connection = 0, None
            while time.monotonic() < until:
                try:
                    # No certificate: only asking back could tell who this is.
                    connection = connection or self.keep(Server(ADDRESS, self.target, ATTACKER, HERE))
                    for _ in range(50):
                        asked += 1
                        connection.dialback(f"d{asked}.{ATTACKER}")
                except (OSError, Refused):
                    connection = None
            return f"{asked} questions"

        started = time.monotonic()
        await self.attack("dialback", flood)
        came, seconds = victim.came, time.monotonic() - started
        print(f"      {came} connections were provoked", flush=True)
        # 30 at once and 30 more in each minute for one address; each may be tried again where it broke.
        self.assertLessEqual(came, 2 * (30 + 30 * seconds / 60))
        self.assertGreater(await self.metric("xmpp_limits_rejected_total", limit="provoked"), 0)

    async def test_a_flood_of_stanzas_is_read_at_its_rate(self):
        flood_of = f"<message from='a@{ATTACKER}' to='nobody@{HERE}' type='headline'><body>x</body></message>" * 50
        requests = "<r xmlns='urn:xmpp:sm:3'/>" * 50

        def flood(until):
            came = 0
            connections = [self.server().login() for _ in range(4)]
            for connection in connections[:2]:
                connection.send("<enable xmlns='urn:xmpp:sm:3'/>")
            while time.monotonic() < until:
                for number, connection in enumerate(connections):
                    if len(connection.waiting) < 65536:
                        connection.push(requests if number < 2 else flood_of)
                        came += 50
                    else:
                        connection.push("")
                    connection.is_open()
            self.facts["open"] = sum(connection.is_open() for connection in connections)
            return f"{came} elements written"

        before = await self.metric("xmpp_stanzas_total", direction="in", scope="remote")
        started = time.monotonic()
        await self.attack("stanzas on four connections", flood)
        taken = await self.metric("xmpp_stanzas_total", direction="in", scope="remote") - before
        seconds = time.monotonic() - started
        print(f"      {taken:.0f} stanzas were taken in {seconds:.1f} s", flush=True)
        self.assertGreater(taken, 0)
        self.assertEqual(self.facts["open"], 4, "they are read more slowly, and not closed")
        # 2,000 a second and one second's burst, and what one read brings on each connection.
        self.assertLess(taken, 2_000 * (seconds + 1) + 4 * 1_000)

    async def test_a_peer_that_asks_and_never_reads_answers(self):
        ask = "".join(f"<iq from='a@{ATTACKER}/x' to='{HERE}' type='get' id='q{n}'>"
                      "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>" for n in range(50))

        def ask_without_end(until):
            came = 0
            # XEP-0288: answers come back on the same connection, which nobody reads.
            connections = []
            for _ in range(4):
                connection = self.server(receive_buffer=4096)
                connection.send("<bidi xmlns='urn:xmpp:bidi'/>")
                connections.append(connection.login())
            while time.monotonic() < until and not self.enough.is_set():
                for connection in connections:
                    if len(connection.waiting) < len(ask):
                        connection.push(ask)
                        came += 50
                    else:
                        connection.push("")
                time.sleep(0.01)
            return f"{came} questions"

        async def answers_are_dropped():
            return await self.metric("xmpp_router_dropped_total", reason="answer") > 0

        await self.attack("answers that nobody reads", ask_without_end, until_reached=answers_are_dropped)
        self.assertTrue(await answers_are_dropped(), "limits.s2s_answers_bytes was never reached")
        waiting = self.here.link("list")["links"]
        # What each of the four streams had begun to write comes back and waits in addition, once it ends.
        self.assertLessEqual(sum(link["waiting_bytes"] for link in waiting), (256 + 4 * 64) << 10)

    async def test_huge_and_unfinished_stanzas(self):
        def huge(until):
            body = b"x" * (200 << 10)
            begin = f"<message from='a@{ATTACKER}' to='nobody@{HERE}' type='headline'><body>".encode()
            unfinished, refused, came = [], 0, 0
            while time.monotonic() < until:
                try:
                    if len(unfinished) < 60:
                        connection = self.server().login()
                        unfinished.append(connection)
                        connection.send(begin + body)
                    else:
                        time.sleep(0.05)
                except (OSError, Refused):
                    refused += 1
            self.facts["open"] = self.stay_open(unfinished, 22)
            for connection in unfinished:
                connection.close()
            self.facts["answer"] = self.answer_to(begin + body * 2)
            return f"{len(unfinished)} stanzas of 200 KiB without an end, {self.facts['open']} connections stay open"

        await self.attack("unfinished stanzas", huge)
        self.assertLessEqual(self.facts["open"], 22, "4 MiB of them")
        self.assertIn("policy-violation", self.facts["answer"])

    async def test_a_server_that_takes_nothing_does_not_hold_up_who_writes_to_it(self):
        """Romeo writes to a domain whose server accepts connections and says nothing, and to Juliet."""
        silent = socket.create_server((ADDRESS, S2S), backlog=100)
        silent.settimeout(PATIENCE)
        self.addCleanup(silent.close)

        def take(until):
            visitor, _ = silent.accept()
            with visitor:
                self.facts["greeting"] = visitor.recv(65536)
                while time.monotonic() < until and not self.enough.is_set():
                    time.sleep(0.01)
            return "a visitor was left without an answer"

        written = QUEUE + 50
        for number in range(written):
            self.romeo.chat(f"a@{ATTACKER}", f"into the dark {number} " + "x" * 1000)

        async def queue_is_full():
            return len(self.bounced()) >= written - QUEUE

        await self.attack("a peer that says nothing", take, until_reached=queue_is_full)
        self.assertIn(b"<stream:stream", self.facts["greeting"])
        self.assertEqual(len(self.bounced()), written - QUEUE)
        self.assertEqual([link["waiting"] for link in self.here.link("list")["links"]], [QUEUE])


if __name__ == "__main__":
    unittest.main()
