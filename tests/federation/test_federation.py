"""Two people on two servers: they talk, see each other, and go on when a server or the way between them breaks."""

import asyncio
import socket
import time
import unittest

from servers import Authority, Balcony, COMPONENTS, Ejabberd, Failed, Lab, Prosody, S2S_TLS
from wire import CLIENT, Client, Component

PING = "<ping xmlns='urn:xmpp:ping'/>"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
HERE, THERE = "montague.lit", "capulet.lit"
# Before and after a peer dies, in which it may have read what it did not handle.
MOMENTS_SECONDS = 4


# The one thing that a machine may lack.
NO_IPV6 = "this machine has no ::1"


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class Scenario(unittest.IsolatedAsyncioTestCase):
    """Romeo at Balcony, Juliet at the peer."""

    peer = Balcony

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)

    def lab(self, *, here=None, there=None, there_at="127.0.7.12"):
        self.at = Lab()
        self.addCleanup(self.at.stop)
        self.here = self.at.server(Balcony, HERE, "127.0.7.11", **(here or {}))
        self.there = self.at.server(self.peer, THERE, there_at, **(there or {}))

    async def people(self):
        self.at.start()
        self.romeo = await Client("romeo", HERE, self.here.c2s).login()
        self.juliet = await Client("juliet", THERE, self.there.c2s).login()

    async def talk(self, first, second, text="hello"):
        first.chat(second.bare, f"{text} 1")
        await second.hears_body(f"{text} 1", first.bare)
        second.chat(first.jid, f"{text} 2")
        await first.hears_body(f"{text} 2", second.bare)

    def figure(self, what, value):
        print(f"    {self.peer.version()}: {what}: {value}", flush=True)


class Usual:
    """What everybody does every day."""

    async def test_we_write_first(self):
        self.lab()
        await self.people()
        started = time.monotonic()
        await self.talk(self.romeo, self.juliet)
        self.figure("first message and its answer, both links opened", f"{time.monotonic() - started:.3f} s")

    async def test_they_write_first(self):
        self.lab()
        await self.people()
        await self.talk(self.juliet, self.romeo)

    async def test_rfc6121_3_subscription_both_ways_presence_and_iq(self):
        self.lab()
        await self.people()
        for asks, answers in ((self.romeo, self.juliet), (self.juliet, self.romeo)):
            asks.send(f"<presence type='subscribe' to='{answers.bare}'/>")
            await answers.hears_presence("subscribe", asks.bare)
            answers.send(f"<presence type='subscribed' to='{asks.bare}'/>")
            await asks.hears_presence("subscribed", answers.bare)
            await asks.hears_presence("available", answers.bare)
        for one, other in ((self.romeo, self.juliet), (self.juliet, self.romeo)):
            self.assertEqual((await one.ask(other.jid, PING)).get("type"), "result")
            self.assertEqual((await one.ask(other.domain, DISCO)).get("type"), "result")
            one.send("<presence><show>away</show></presence>")
            await other.hears(lambda s: s.findtext(CLIENT + "show") == "away" and s.get("from") == one.jid, "away")
        await self.blocking(self.romeo, self.juliet)
        await self.juliet.logout()
        await self.romeo.hears_presence("unavailable", self.juliet.bare)
        # Who comes back is seen again, and sees who is there (RFC 6121 §4.2, §4.3).
        self.juliet = await Client("juliet", THERE, self.there.c2s).login()
        await self.romeo.hears_presence("available", self.juliet.bare)
        await self.juliet.hears_presence("available", self.romeo.bare)

    async def blocking(self, romeo, juliet):
        """XEP-0191 §3.3, §3.4: Romeo, at Balcony, blocks who lives elsewhere, and takes it back."""
        # Whatever was on its way is there.
        self.assertEqual((await romeo.ask(juliet.jid, PING)).get("type"), "result")
        self.assertEqual((await juliet.ask(romeo.jid, PING)).get("type"), "result")
        for one in (romeo, juliet):
            one.heard.clear()
        block = f"<{{}} xmlns='urn:xmpp:blocking'><item jid='{juliet.bare}'/></{{}}>"
        self.assertEqual((await romeo.ask(romeo.bare, block.format("block", "block"), "set")).get("type"), "result")
        await juliet.hears_presence("unavailable", romeo.bare)
        # XEP-0016 §2.10.
        await romeo.hears_presence("unavailable", juliet.bare)
        romeo.chat(juliet.bare, "cannot leave")
        await romeo.hears(lambda s: s.get("type") == "error" and s.find(f".//{STANZAS}not-acceptable") is not None,
                          "not-acceptable")
        romeo.send("<presence><show>xa</show></presence>")
        juliet.send("<presence><show>dnd</show></presence>")
        juliet.send(f"<presence type='probe' to='{romeo.bare}'/>")
        for to in (romeo.bare, romeo.jid, romeo.bare + "/nowhere"):
            refused = await juliet.ask(to, "<query xmlns='jabber:iq:last'/>")
            self.assertIsNotNone(refused.find(f".//{STANZAS}service-unavailable"), to)
        juliet.chat(romeo.bare, "hello?")
        await juliet.hears(lambda s: s.get("type") == "error" and s.find(f".//{STANZAS}service-unavailable") is not None,
                           "service-unavailable")
        of_romeo = [s for s in juliet.heard if s.tag == CLIENT + "presence" and s.get("from", "").startswith(romeo.bare)]
        self.assertEqual(of_romeo, [])
        self.assertEqual([s for s in romeo.heard if s.get("from", "").startswith(juliet.bare)], [])
        self.assertEqual((await romeo.ask(romeo.bare, block.format("unblock", "unblock"), "set")).get("type"), "result")
        for one, other, show in ((juliet, romeo, "xa"), (romeo, juliet, "dnd")):
            await one.hears(lambda s: s.get("from") == other.jid and s.findtext(CLIENT + "show") == show, show)

    async def test_rfc6120_10_4_3_there_is_no_such_domain(self):
        self.lab()
        await self.people()
        answer = await self.romeo.ask("nobody@nowhere.lit", PING)
        self.assertEqual(answer.get("type"), "error")
        self.assertIsNotNone(answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}remote-server-not-found"))

    async def test_xep0220_dialback_where_the_authority_is_unknown(self):
        self.lab()
        stranger = Authority(self.at.directory, "Stranger")
        stranger.issue(THERE, self.there.directory)
        await self.people()
        await self.talk(self.romeo, self.juliet)

    async def test_xep0220_dialback_where_they_write_first(self):
        self.lab()
        stranger = Authority(self.at.directory, "Stranger")
        stranger.issue(THERE, self.there.directory)
        await self.people()
        await self.talk(self.juliet, self.romeo)

    async def test_xep0114_a_component_talks_with_people_elsewhere(self):
        bridge = f"bridge.{HERE}"
        self.lab(here={"grace": "1s"})
        self.at.domains[bridge] = self.at.domains[HERE]
        self.at.places[bridge] = self.at.places[HERE]
        await self.people()
        component = await Component(bridge, (self.here.address, COMPONENTS), "sesame").enter()
        self.addCleanup(component.drop)
        self.juliet.chat(f"sms@{bridge}", "hark")
        await self.juliet.hears_body("echo hark", f"sms@{bridge}")
        component.chat(f"news@{bridge}", self.juliet.bare, "first word")
        await self.juliet.hears_body("first word", f"news@{bridge}")
        await component.leave()
        answer = await self.juliet.ask(bridge, DISCO)
        self.assertIsNotNone(answer.find(f".//{STANZAS}service-unavailable"))
        with self.assertRaisesRegex(Failed, "external component, and it is not connected"):
            await asyncio.to_thread(self.here.link, "explain", bridge)

    async def test_a_peer_that_restarts_in_order(self):
        self.lab()
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await asyncio.to_thread(self.there.stop)
        await asyncio.to_thread(self.there.start)
        self.juliet = await Client("juliet", THERE, self.there.c2s).login()
        await self.talk(self.romeo, self.juliet, "again")

    async def test_a_peer_that_is_killed_is_known_to_be_down_and_up_again(self):
        self.lab()
        await self.people()
        await self.talk(self.romeo, self.juliet)
        self.assertEqual(self.here.link_state(THERE), "up")
        started = time.monotonic()
        await asyncio.to_thread(self.there.kill)
        await self.reaches("down", 45)
        self.figure("kill -9 to DOWN", f"{time.monotonic() - started:.1f} s")
        self.romeo.chat(self.juliet.bare, "while you were away")
        await asyncio.to_thread(self.there.start)
        started = time.monotonic()
        await self.reaches("up", 90)
        self.figure("its return to UP, with a message waiting", f"{time.monotonic() - started:.1f} s")

    async def test_who_was_seen_before_we_were_killed_is_gone_after_the_start(self):
        self.lab()
        await self.people()
        self.juliet.send(f"<presence type='subscribe' to='{self.romeo.bare}'/>")
        await self.romeo.hears_presence("subscribe", self.juliet.bare)
        self.romeo.send(f"<presence type='subscribed' to='{self.juliet.bare}'/>")
        await self.juliet.hears_presence("available", self.romeo.bare)
        deadline = time.monotonic() + 30
        while not self.here.keeps_presence_of("romeo"):
            self.assertLess(time.monotonic(), deadline, "what others have seen is not kept")
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self.here.kill)
        started = time.monotonic()
        await asyncio.to_thread(self.here.start)
        await self.juliet.hears(
            lambda s: s.tag == CLIENT + "presence" and s.get("type") == "unavailable" and s.get("from") == self.romeo.jid,
            "the end of a session of before")
        self.figure("start after kill -9 to unavailable at the peer", f"{time.monotonic() - started:.1f} s")

    async def reaches(self, state, seconds):
        deadline = time.monotonic() + seconds
        while (now := await asyncio.to_thread(self.here.link_state, THERE)) != state:
            self.assertLess(time.monotonic(), deadline, f"the link is {now}")

    async def test_no_message_is_lost_while_a_peer_is_away_for_20_s(self):
        """Romeo writes all the time; the peer is killed in the middle, and is back after 20 s."""
        self.lab()
        await self.people()
        await self.talk(self.romeo, self.juliet)
        away = asyncio.ensure_future(self.away(20))
        number = 0
        written = []
        while not away.done():
            self.romeo.chat(self.juliet.bare, f"number {number}")
            written.append(time.monotonic())
            number += 1
            await asyncio.sleep(0.2)
        await away
        juliet = await Client("juliet", THERE, self.there.c2s).login()
        back = time.monotonic()
        self.romeo.chat(juliet.bare, f"number {number}")
        await juliet.hears_body(f"number {number}", seconds=90)
        self.figure("its return to the first message there", f"{time.monotonic() - back:.1f} s")
        # Whatever was on its way is there when this is answered.
        await self.romeo.ask(juliet.jid, PING)
        await juliet.ask(self.romeo.jid, PING)
        wanted = [f"number {n}" for n in range(number)]
        arrived = set(self.juliet.bodies() + juliet.bodies())
        returned = self.romeo.returned()
        unknown = [body for body in wanted if body not in arrived and body not in returned]
        self.figure("20 s away", f"{number} written, {len(arrived & set(wanted))} arrived, "
                                 f"{len(returned)} returned to the sender, {len(unknown)} lost")
        # Without stream management (XEP-0198) no server can know what a peer had read before it was killed with its
        # memory: what was written in the moments before may then be gone, and nothing else. How long such a moment is
        # depends on what else this machine does.
        died = away.result()
        doubtful = set() if self.peer.MANAGES_STREAMS else {
            f"number {n}" for n, at in enumerate(written) if abs(at - died) <= MOMENTS_SECONDS}
        self.assertEqual([body for body in unknown if body not in doubtful], [])
        last = [body for body in (s.findtext(CLIENT + "body") for s in juliet.heard) if body in wanted]
        self.assertEqual(last, sorted(last, key=wanted.index), "in order")

    async def away(self, seconds):
        """Kills the peer and starts it again; when it was killed."""
        # In the middle of it, and between two messages.
        await self.juliet.until(lambda: "number 10" in self.juliet.bodies(), "the tenth message")
        died = time.monotonic()
        await asyncio.to_thread(self.there.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.there.start)
        return died


class ByCertificate:
    """Where nobody takes dialback."""

    async def test_certificates_alone_with_serverauth_as_their_only_purpose(self):
        self.lab(here={"dialback": False}, there={"dialback": False})
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await self.talk(self.juliet, self.romeo)

    async def test_an_unknown_authority_is_refused(self):
        self.lab(here={"dialback": False})
        Authority(self.at.directory, "Stranger").issue(THERE, self.there.directory)
        await self.people()
        answer = await self.romeo.ask(THERE, DISCO)
        self.assertEqual(answer.get("type"), "error")


class WithBalcony(Usual, ByCertificate, Scenario):
    peer = Balcony

    async def test_routes_in_place_of_dns(self):
        self.lab(here={"routes": True}, there={"routes": True})
        self.at.domains.clear()
        await self.people()
        await self.talk(self.romeo, self.juliet)

    @unittest.skipUnless(has_ipv6(), NO_IPV6)
    async def test_the_other_server_is_at_an_ipv6_address(self):
        self.lab(there_at="::1")
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await self.talk(self.juliet, self.romeo, "and back")
        tried = [one for attempt in self.here.link("explain", THERE)["links"][0]["attempts"]
                 if attempt["direction"] == "out" for one in attempt["tries"]]
        self.assertIn(f"[::1]:{S2S_TLS}", tried[-1]["target"])

    async def test_a_refused_connection_returns_iqs_at_once(self):
        self.lab()
        await self.people()
        await self.talk(self.romeo, self.juliet)
        await asyncio.to_thread(self.there.kill)
        answer = await self.romeo.ask(THERE, DISCO, seconds=25)
        self.assertIsNotNone(answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}remote-server-timeout"))
        explained = await asyncio.to_thread(self.here.link, "explain", THERE)
        self.assertEqual(explained["links"][0]["attempts"][-1]["verdict"], "refused")


class WithProsody(Usual, ByCertificate, Scenario):
    peer = Prosody


class WithEjabberd(Usual, Scenario):
    """ejabberd 23.01 takes no certificate of a server that names no purpose but that of servers: dialback remains."""

    peer = Ejabberd
