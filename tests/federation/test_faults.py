"""The way between two servers breaks: it is reset, half-open, swallows everything, or somebody at its end does not read.

A relay stands before each of the two. What is written is heard once and in order, or comes back; what a peer without stream
management (XEP-0198) had not read when the way broke is gone, and no server can know of it.
"""

import asyncio
import time

from relay import Relay
from servers import Balcony, Ejabberd, Prosody, S2S
from test_federation import DISCO, HERE, STANZAS, THERE, Scenario
from wire import CLIENT, Client

# A dead way is known after one and a half times this.
QUIET_SECONDS = 6
# How long a server may take to come back to another whose connections broke; and for whatever is slow beside that.
PATIENCE = 90


class Relayed(Scenario):
    async def relayed(self, **here):
        """Relays stand before both, and both have talked through them."""
        self.lab(here=here)
        self.relays = []
        for domain, server, address in ((HERE, self.here, "127.0.7.31"), (THERE, self.there, "127.0.7.32")):
            self.relays.append(await Relay((address, S2S), (server.address, S2S)).start())
            self.addAsyncCleanup(self.relays[-1].stop)
            self.at.lead(domain, address)
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await self.talk(self.juliet, self.romeo, "and back")
        self.written, self.doubtful = [], set()

    def write(self, count):
        """Romeo writes some more."""
        for _ in range(count):
            self.written.append(f"number {len(self.written)}")
            self.romeo.chat(self.juliet.bare, self.written[-1])

    def unheard(self):
        return [body for body in self.written if body not in set(self.juliet.bodies())]

    def loses_what_was_not_read(self):
        """The way breaks now."""
        if not self.peer.MANAGES_STREAMS:
            self.doubtful.update(self.unheard())

    async def arrives(self, one, other):
        """The way from one to the other is there again."""
        # Written again and again: what a server writes into a broken connection may be gone too, where nobody counts.
        asked, deadline = [], time.monotonic() + PATIENCE
        while not any(body in other.bodies() for body in asked):
            self.assertLess(time.monotonic(), deadline, f"there is no way to {other.jid}")
            asked.append(f"are you there {len(asked)}")
            one.chat(other.bare, asked[-1])
            try:
                await other.until(lambda: asked[-1] in other.bodies(), seconds=3)
            except AssertionError:
                continue
        for client in (one, other):
            client.heard = [s for s in client.heard if s.findtext(CLIENT + "body") not in asked]

    async def all_is_known(self):
        """The way is there again, and of everything that was written it is known what became of it."""
        for one, other in ((self.romeo, self.juliet), (self.juliet, self.romeo)):
            await self.arrives(one, other)

        def unknown():
            gone = self.romeo.returned() | self.doubtful
            return [body for body in self.unheard() if body not in gone]

        await self.romeo.until(lambda: not unknown(), f"what became of {unknown()}", PATIENCE)
        # Whatever else was on its way is there when these are answered.
        await self.romeo.ask(self.juliet.jid, DISCO)
        await self.juliet.ask(self.romeo.jid, DISCO)
        heard = self.juliet.bodies()
        self.assertEqual(heard, sorted(set(heard), key=self.written.index), "each once, and in order")
        lost = [body for body in self.unheard() if body not in self.romeo.returned()]
        self.figure("written, heard, returned, lost",
                    f"{len(self.written)}, {len(heard)}, {len(self.written) - len(heard) - len(lost)}, {len(lost)}")
        if self.peer.RESUMES_STREAMS:
            self.assertEqual(heard, self.written, "what can be resumed loses and returns nothing")


class Faults:
    async def test_xep0198_5_a_reset_in_the_middle_of_chat(self):
        await self.relayed()
        for _ in range(3):
            self.write(40)
            begun = self.written[-40]
            await self.juliet.until(lambda: begun in self.juliet.bodies() or begun in self.romeo.returned(), "some of it", PATIENCE)
            for relay in self.relays:
                relay.reset()
            self.write(10)
            if not self.peer.MANAGES_STREAMS:
                # The server wrote into the connection until it learnt of its end. What comes behind that arrives after it.
                await self.arrives(self.romeo, self.juliet)
                self.loses_what_was_not_read()
        await self.all_is_known()

    async def test_a_server_that_does_not_read_holds_up_nobody_here_and_gets_what_was_taken_for_it(self):
        await self.relayed()
        neighbour = await Client("juliet", HERE, self.here.c2s).login()
        for relay in self.relays:
            relay.swallow()
        self.write(500)
        slowest = 0
        for number in range(10):
            started = time.monotonic()
            neighbour.chat(self.romeo.jid, f"here {number}")
            await self.romeo.hears_body(f"here {number}")
            slowest = max(slowest, time.monotonic() - started)
        self.figure("a server that does not read: the slowest message here", f"{slowest * 1000:.0f} ms")
        for relay in self.relays:
            relay.carry()
        await self.all_is_known()
        self.assertEqual(self.juliet.bodies(), self.written, "nothing broke")

    async def test_rfc6120_4_6_a_way_that_swallows_everything_is_known_and_left(self):
        await self.relayed(quiet=f"{QUIET_SECONDS}s", grace="1s")
        for relay in self.relays:
            relay.swallow()
        started = time.monotonic()
        self.write(1)
        self.loses_what_was_not_read()
        while await asyncio.to_thread(self.here.link_state, THERE) == "up":
            # One and a half times the quiet time by the server's clock; this machine may be busy.
            self.assertLess(time.monotonic() - started, 45)
            await asyncio.sleep(0.05)
        self.figure(f"silence known after, asked after {QUIET_SECONDS} s", f"{time.monotonic() - started:.1f} s")
        # Those that are made meanwhile get through.
        for relay in self.relays:
            relay.carry()
        await self.all_is_known()


class HalfOpen:
    """With servers that count stanzas: of others nobody knows what they had read."""

    async def test_a_half_open_connection(self):
        """The other side has lost its ends of the connections, and we learn of it by what we write."""
        await self.relayed()
        for relay in self.relays:
            relay.forget()
        self.write(20)
        await self.all_is_known()


class FaultsWithBalcony(Faults, HalfOpen, Relayed):
    peer = Balcony

    async def test_what_waits_for_a_server_that_does_not_read_is_bounded(self):
        """By the stream (2,000 stanzas) and the queue. All else comes back at once."""
        stream, queue, written = 2000, 100, 3000
        await self.relayed(limits=f"s2s_queue_stanzas = {queue}")
        for relay in self.relays:
            relay.swallow()
        for number in range(written):
            self.romeo.send(f"<message to='{self.juliet.bare}' type='chat' id='n{number}'><body>{number}</body></message>")
        # What Romeo writes now is behind all that he wrote before.
        self.romeo.chat(self.romeo.jid, "that was all")
        await self.romeo.hears_body("that was all")
        await self.romeo.hears(lambda s: s.get("id") == f"n{written - 1}" and s.get("type") == "error", "the last one back")
        returned = {s.get("id") for s in self.romeo.heard if s.find(f".//{STANZAS}resource-constraint") is not None}
        returned.add(f"n{written - 1}")
        waiting = self.here.link("list")["links"][0]["waiting"]
        self.figure("a server that does not read",
                    f"{written} written, {len(returned)} returned at once, {waiting} wait behind the stream")
        self.assertEqual(waiting, queue)
        # A few of them had been taken before nothing passed any more.
        self.assertGreaterEqual(len(returned), written - stream - queue - 20)
        for relay in self.relays:
            relay.carry()
        taken = [str(number) for number in range(written) if f"n{number}" not in returned]
        await self.juliet.hears_body(taken[-1], seconds=PATIENCE)
        self.assertEqual(self.juliet.bodies(), taken[:-1], "each once, and in order")


class FaultsWithProsody(Faults, HalfOpen, Relayed):
    peer = Prosody


class FaultsWithEjabberd(Faults, Relayed):
    peer = Ejabberd


del Scenario, Relayed
