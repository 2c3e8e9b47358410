"""The way between two servers: the other family of addresses, and somebody at its end who does not read."""

import asyncio
import socket
import time
import unittest

from relay import Relay
from servers import S2S, S2S_TLS
from test_federation import STANZAS, THERE, Scenario
from wire import CLIENT, Client


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class Ways(Scenario):
    @unittest.skipUnless(has_ipv6(), "this machine has no ::1")
    async def test_the_other_server_is_at_an_ipv6_address(self):
        self.lab(there_at="::1")
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await self.talk(self.juliet, self.romeo, "and back")
        tried = [one for attempt in self.here.link("explain", THERE)["links"][0]["attempts"]
                 if attempt["direction"] == "out" for one in attempt["tries"]]
        self.assertIn(f"[::1]:{S2S_TLS}", tried[-1]["target"])

    async def relayed(self, **here):
        """A relay stands before the other server, and both have talked through it."""
        self.lab(here={"routes": True, **here}, there={"routes": True})
        relay = await Relay(("127.0.7.30", S2S), ("127.0.7.12", S2S)).start()
        self.addAsyncCleanup(relay.stop)
        self.at.places[THERE] = ("127.0.7.30", S2S)
        await self.people()
        await self.talk(self.romeo, self.juliet)
        return relay

    async def test_xep0198_5_what_is_written_into_a_half_open_connection_arrives_once(self):
        relay = await self.relayed()
        relay.forget()
        for number in range(20):
            self.romeo.chat(self.juliet.bare, f"number {number}")
        await self.juliet.hears_body("number 19", seconds=60)
        heard = [s.findtext(CLIENT + "body") for s in self.juliet.heard if s.tag == CLIENT + "message"]
        self.assertEqual(heard, [f"number {number}" for number in range(19)])

    async def test_a_server_that_does_not_read_holds_up_nobody_here_and_gets_all_that_was_taken_for_it(self):
        """What waits is bounded: by the stream (2,000 stanzas) and the queue. All else comes back at once."""
        stream, queue, written = 2000, 100, 3000
        relay = await self.relayed(limits=f"s2s_queue_stanzas = {queue}")
        neighbour = await Client("juliet", self.romeo.domain, self.here.c2s).login()
        relay.swallow()
        for number in range(written):
            self.romeo.send(f"<message to='{self.juliet.bare}' type='chat' id='n{number}'><body>{number}</body></message>")
        slowest = 0
        for number in range(10):
            started = time.monotonic()
            neighbour.chat(self.romeo.jid, f"here {number}")
            await self.romeo.hears_body(f"here {number}")
            slowest = max(slowest, time.monotonic() - started)
        # What Romeo writes now is behind all that he wrote before.
        self.romeo.chat(neighbour.jid, "that was all")
        await neighbour.hears_body("that was all")
        await self.romeo.hears(lambda s: s.get("id") == f"n{written - 1}" and s.get("type") == "error", "the last one back")
        returned = {s.get("id") for s in self.romeo.heard if s.find(f".//{STANZAS}resource-constraint") is not None}
        returned.add(f"n{written - 1}")
        waiting = self.here.link("list")["links"][0]["waiting"]
        self.figure("a server that does not read", f"{written} written, {len(returned)} returned at once, {waiting} wait behind "
                    f"the stream; the slowest message here took {slowest * 1000:.0f} ms")
        self.assertEqual(waiting, queue)
        # A few of them had been taken before nothing passed any more.
        self.assertGreaterEqual(len(returned), written - stream - queue - 20)
        relay.carry()
        taken = [str(number) for number in range(written) if f"n{number}" not in returned]
        await self.juliet.hears_body(taken[-1], seconds=60)
        heard = [s.findtext(CLIENT + "body") for s in self.juliet.heard if s.tag == CLIENT + "message"]
        self.assertEqual(heard, taken[:-1], "each once, and in order")


del Scenario

if __name__ == "__main__":
    unittest.main()
