"""Two people log in and talk, with a client library that nobody here wrote."""

import asyncio

from client import Client, LoginFailed, settled
from scenario import Scenario
from servers import DOMAIN


class Login(Scenario):
    async def test_starttls_and_direct_tls_with_the_certificate_checked(self):
        for tls in ("starttls", "direct"):
            with self.subTest(tls):
                romeo = await self.client("romeo", resource=tls, tls=tls)
                self.assertEqual(romeo.boundjid.full, f"{self.user('romeo')}/{tls}")

    async def test_every_mechanism_and_the_strongest_by_default(self):
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            with self.subTest(mechanism):
                romeo = await self.client("romeo", mechanism=mechanism)
                self.assertEqual(romeo.used_mechanism, mechanism)
        romeo = await self.client("romeo")
        self.assertEqual(romeo.used_mechanism, "SCRAM-SHA-256")

    async def test_tls_1_2_whose_channel_binding_no_server_here_offers(self):
        """slixmpp then tries -PLUS with tls-unique; it must get in all the same."""
        romeo = await self.client("romeo", highest_tls="1.2")
        await romeo.settled()

    async def test_nothing_without_tls(self):
        with self.assertRaises(LoginFailed):
            await self.client("romeo", tls="none")

    async def test_a_wrong_password_and_an_unknown_account_look_the_same(self):
        refusals = []
        for user, password in (("romeo", "wrong"), ("nobody", "wrong")):
            with self.assertRaises(LoginFailed) as failed:
                await self.client(user, password=password, mechanism="SCRAM-SHA-1")
            refusals.append(failed.exception.args)
        self.assertEqual(refusals, [(["not-authorized"],)] * 2)

    async def test_the_newer_of_two_with_one_resource_wins(self):
        older = await self.client("romeo", resource="phone")
        newer = await self.client("romeo", resource="phone")
        await asyncio.wait_for(older.over.wait(), 10)
        self.assertEqual(older.stream_error, "conflict")
        await newer.settled()

    async def test_who_asks_for_no_resource_is_given_one(self):
        one, two = await self.client("romeo", resource=""), await self.client("romeo", resource="")
        self.assertTrue(one.boundjid.resource)
        self.assertNotEqual(one.boundjid.resource, two.boundjid.resource)


class Chat(Scenario):
    async def test_both_ways_to_bare_and_full_addresses(self):
        romeo, juliet = await self.client("romeo", tls="starttls"), await self.client("juliet", tls="direct")
        for sender, receiver in ((romeo, juliet), (juliet, romeo)):
            for address in (receiver.boundjid.bare, receiver.boundjid.full):
                body = f"<hark> & 'soft' \N{WHITE HEART SUIT} {address}"
                sender.chat(address, body)
                heard = await receiver.hears_body(body)
                self.assertEqual(heard["from"], sender.boundjid)
                self.assertEqual(heard["type"], "chat")

    async def test_a_hundred_messages_arrive_in_order(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        for number in range(100):
            romeo.chat(juliet.boundjid.full, f"number {number}")
        await juliet.hears(lambda s: s["body"] == "number 99")
        bodies = [s["body"] for s in juliet.heard if s.name == "message"]
        self.assertEqual(bodies, [f"number {number}" for number in range(99)])

    async def test_the_bare_address_reaches_who_wants_it_most(self):
        phone, desk = await self.client("juliet", resource="phone"), await self.client("juliet", resource="desk")
        romeo = await self.client("romeo")
        phone.send_presence(ppriority=1)
        desk.send_presence(ppriority=7)
        await settled(phone, desk)
        romeo.chat(desk.boundjid.bare, "who is there?")
        await desk.hears_body("who is there?")
        desk.send_presence(ppriority=-1)
        await settled(desk)
        romeo.chat(desk.boundjid.bare, "and now?")
        await phone.hears_body("and now?")
        await settled(romeo, desk)
        self.assertFalse(desk.heard_any(lambda s: s["body"] == "and now?"))

    async def test_nobody_of_that_name(self):
        romeo = await self.client("romeo")
        romeo.chat(f"nobody@{DOMAIN}", "anybody?")
        error = await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
        self.assertEqual(error["error"]["condition"], "service-unavailable")

    async def test_questions_that_nobody_can_answer(self):
        romeo = await self.client("romeo")
        question = "<query xmlns='balcony:no-such-thing'/>"
        for to in (None, DOMAIN, f"{self.user('juliet')}", f"{self.user('juliet')}/away"):
            with self.subTest(to):
                self.assertEqual(await romeo.refused("get", question, to), "service-unavailable")

    async def test_acknowledgements_of_stream_management(self):
        romeo = await self.client("romeo", management=True, available=False)
        juliet = await self.client("juliet", management=True)
        self.assertTrue(romeo.plugin["xep_0198"].enabled_in)
        acknowledged = asyncio.Queue()
        romeo.add_event_handler("stanza_acked", acknowledged.put_nowait)
        bodies = [f"acknowledge {number}" for number in range(20)]
        for body in bodies:
            romeo.chat(juliet.boundjid.full, body)
        await romeo.settled()
        romeo.plugin["xep_0198"].request_ack()
        got = []
        while len(got) < len(bodies):
            stanza = await asyncio.wait_for(acknowledged.get(), 10)
            if stanza.name == "message":
                got.append(stanza["body"])
        self.assertEqual(got, bodies)
        await juliet.hears_body(bodies[-1])

    async def test_what_the_server_says_about_itself(self):
        romeo = await self.client("romeo")
        info = (await romeo.plugin["xep_0030"].get_info(jid=DOMAIN))["disco_info"]
        self.assertIn(("server", "im"), {(category, kind) for category, kind, *_ in info["identities"]})
        for feature in ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping"):
            self.assertIn(feature, info["features"])
        await romeo.plugin["xep_0030"].get_items(jid=DOMAIN)
        await romeo.plugin["xep_0199"].send_ping(DOMAIN)
        await romeo.plugin["xep_0199"].send_ping(romeo.boundjid.bare)
