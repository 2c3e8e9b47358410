"""Rooms with people of two servers in them, while the way between the servers breaks and a server is killed.

Romeo and Mercutio are at Balcony, Juliet at the peer; the garden is a room of ours, the hall one of theirs. Romeo asks for
annotations (XEP-0310), Mercutio does not.
"""

import asyncio
import time
import unittest

from relay import Relay
from servers import S2S, Balcony, Prosody
from test_federation import HERE, THERE, Scenario
from wire import CLIENT, Client

GARDEN, HALL = f"garden@rooms.{HERE}", f"hall@rooms.{THERE}"
OWNER = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"
ANNOTATION = "{urn:xmpp:psa}state-annotation"
DELAY = "{urn:xmpp:delay}delay"
ITEM = "{http://jabber.org/protocol/muc#user}x/{http://jabber.org/protocol/muc#user}item"


def codes(presence):
    return {status.get("code") for status in presence.iter("{http://jabber.org/protocol/muc#user}status")}


class Rooms:
    """What happens in rooms when a server is out of reach."""

    # The rooms that keep their occupants over an outage.
    keeping = (GARDEN, HALL)

    async def company(self):
        self.at.start()
        self.romeo = await Client("romeo", HERE, self.here.c2s, asks=True).login()
        self.mercutio = await Client("juliet", HERE, self.here.c2s).login()
        self.juliet = await Client("juliet", THERE, self.there.c2s).login()
        for room, first, others in ((GARDEN, self.romeo, (self.mercutio, self.juliet)),
                                    (HALL, self.juliet, (self.romeo, self.mercutio))):
            names = {self.romeo: "romeo", self.mercutio: "mercutio", self.juliet: "juliet"}
            await first.enter(room, names[first])
            await first.ask(room, OWNER, "set")
            for other in others:
                await other.enter(room, names[other])
        await self.converse("good morrow")

    async def converse(self, words, rooms=(GARDEN, HALL)):
        """Everybody hears everybody in the rooms."""
        people = (self.romeo, self.mercutio, self.juliet)
        for room in rooms:
            for number, speaker in enumerate(people):
                speaker.say(room, f"{words} {number}")
                for listener in people:
                    await listener.hears_body(f"{words} {number}", room)

    async def hears_of_juliet(self, state):
        """Romeo is told something of Juliet in the garden."""
        annotated = await self.romeo.hears(
            lambda s: s.tag == CLIENT + "presence" and s.get("from") == f"{GARDEN}/juliet" and s.find(ANNOTATION) is not None,
            f"an annotation of juliet ({state})", 60)
        annotation = annotated.find(ANNOTATION)
        self.assertEqual(annotation.get("from"), f"rooms.{HERE}")
        self.assertEqual([child.tag for child in annotation if child.tag != "{urn:xmpp:psa}description"],
                         [f"{{urn:xmpp:psa}}{state}"] if state else [])
        self.assertEqual(annotated.find(ITEM).get("role"), "participant")

    async def knows_of_the_hall(self):
        """Romeo, who is in a room elsewhere, is told by his own server that it is out of reach (PSA-28)."""
        annotated = await self.romeo.hears(
            lambda s: s.tag == CLIENT + "presence" and s.get("from") == f"{HALL}/juliet" and s.find(ANNOTATION) is not None,
            "an annotation of juliet in the hall", 60)
        annotation = annotated.find(ANNOTATION)
        self.assertEqual(annotation.get("from"), HERE)
        self.assertIsNotNone(annotation.find("{urn:xmpp:psa}server-unavailable"))

    async def knows_the_truth_of_the_hall(self, before):
        """And afterwards whether he is still in (PSA-67): juliet is there without a doubt, or he is out."""
        def is_truth(stanza):
            if stanza.tag != CLIENT + "presence" or any(stanza is other for other in before):
                return False
            annotation = stanza.find(ANNOTATION)
            is_clear = annotation is None or len(annotation) == 0
            is_out = stanza.get("type") == "unavailable" and "110" in codes(stanza)
            return (stanza.get("from") == f"{HALL}/juliet" and stanza.get("type") is None and is_clear
                    or stanza.get("from") == f"{HALL}/romeo" and is_out)
        await self.romeo.hears(is_truth, "what is so in the hall", 60)

    def nobody_left(self):
        """Nobody was told that anybody is out of a room."""
        for client in (self.romeo, self.mercutio, self.juliet):
            gone = [s.get("from") for s in client.heard if s.tag == CLIENT + "presence"
                    and s.get("type") == "unavailable" and s.get("from", "").startswith(self.keeping)]
            self.assertEqual(gone, [], client.jid)

    async def test_psa_28_psa_51_psa_53_psa_66_psa_67_an_outage_is_told_survived_and_made_up_for(self):
        self.lab()
        relays = []
        for domain, server, address in ((HERE, self.here, "127.0.7.31"), (THERE, self.there, "127.0.7.32")):
            relays.append(await Relay((address, S2S), (server.address, S2S)).start())
            self.addAsyncCleanup(relays[-1].stop)
            self.at.lead(domain, address)
        await self.company()
        started = time.monotonic()
        for relay in relays:
            await relay.refuse()
        await self.hears_of_juliet("server-unavailable")
        self.figure("the way is cut; known in the room after", f"{time.monotonic() - started:.1f} s")
        await self.knows_of_the_hall()
        for number in range(3):
            self.romeo.say(GARDEN, f"can you hear me {number}")
            await self.mercutio.hears_body(f"can you hear me {number}", GARDEN)
        before = list(self.romeo.heard)
        for relay in relays:
            await relay.start()
        started = time.monotonic()
        await self.hears_of_juliet(None)
        for number in range(3):
            missed = await self.juliet.hears_body(f"can you hear me {number}", GARDEN)
            self.assertIsNotNone(missed.find(DELAY))
        self.figure("the way is back; what was said is there after", f"{time.monotonic() - started:.1f} s")
        await self.knows_the_truth_of_the_hall(before)
        await self.converse("and again", self.keeping)
        again = [s for s in self.juliet.heard if (s.findtext(CLIENT + "body") or "").startswith("can you")]
        self.assertEqual(again, [], "once each")
        self.nobody_left()
        annotated = [s for s in self.mercutio.heard if s.find(ANNOTATION) is not None]
        self.assertEqual(annotated, [], "who does not ask is told nothing")

    async def test_psa_51_psa_62_psa_67_a_killed_server_is_told_and_its_people_leave_by_its_own_word(self):
        self.lab()
        await self.company()
        await asyncio.to_thread(self.there.kill)
        await self.hears_of_juliet("server-unavailable")
        self.romeo.say(GARDEN, "where are you")
        await self.mercutio.hears_body("where are you", GARDEN)
        self.nobody_left()
        await asyncio.to_thread(self.there.start)
        started = time.monotonic()
        gone = await self.mercutio.hears(
            lambda s: s.tag == CLIENT + "presence" and s.get("type") == "unavailable" and s.get("from") == f"{GARDEN}/juliet",
            "that juliet is gone", 90)
        self.figure("start of the killed server to the end of its ghost", f"{time.monotonic() - started:.1f} s")
        self.assertLessEqual(codes(gone), {"333"})
        # PSA-67: the hall has lost its occupants; our people learn of it, whether they ask for annotations or not.
        for listener, nick in ((self.romeo, "romeo"), (self.mercutio, "mercutio")):
            out = await listener.hears(
                lambda s: s.tag == CLIENT + "presence" and s.get("type") == "unavailable" and s.get("from") == f"{HALL}/{nick}",
                f"that {nick} is out of the hall", 60)
            self.assertLessEqual({"110", "333"}, codes(out))
        juliet = await Client("juliet", THERE, self.there.c2s).login()
        await juliet.enter(GARDEN, "juliet")
        juliet.say(GARDEN, "here")
        for listener in (self.romeo, self.mercutio, juliet):
            await listener.hears_body("here", GARDEN)


class RoomsWithBalcony(Rooms, Scenario):
    peer = Balcony


class RoomsWithProsody(Rooms, Scenario):
    peer = Prosody
    # Prosody removes an occupant when a stanza for it comes back, also when its own server sends it back: whether it had one to
    # send during the outage is chance.
    keeping = (GARDEN,)
