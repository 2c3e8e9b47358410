"""An external component made with a library that nobody here wrote: it echoes what people write, and answers disco."""

import asyncio

from slixmpp import ComponentXMPP

from client import PATIENCE
from scenario import Scenario
from servers import DOMAIN

BRIDGE = f"bridge.{DOMAIN}"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


class Bridge(ComponentXMPP):
    def __init__(self, server, secret="sesame", domain=BRIDGE):
        super().__init__(domain, secret, "127.0.0.1", server.component_port)
        self.use_aiodns = False
        self.register_plugin("xep_0030")
        self.plugin["xep_0030"].add_identity(category="gateway", itype="sms", name="Bridge")
        self.add_event_handler("message", self._echo)
        self.stream_error, self.over = None, asyncio.Event()
        self.add_event_handler("stream_error", lambda error: setattr(self, "stream_error", error["condition"]))
        self.add_event_handler("disconnected", lambda _: self.over.set())
        self.errors = asyncio.Queue()
        self.add_event_handler("message_error", self.errors.put_nowait)

    def _echo(self, message):
        if message["type"] in ("chat", "normal"):
            self.send_message(mto=message["from"], mfrom=message["to"], mbody=f"echo {message['body']}", mtype="chat")

    async def enter(self):
        self.connect("127.0.0.1", self.server_port)
        await self.wait_until("session_start", PATIENCE)
        return self


class Components(Scenario):
    def bridge(self, **options):
        bridge = Bridge(self.server, **options)
        self.clients.append(bridge)
        return bridge

    async def test_a_person_talks_with_it_and_looks_at_it(self):
        bridge = await self.bridge().enter()
        romeo = await self.client("romeo")
        romeo.chat(f"sms@{BRIDGE}", "hark")
        heard = await romeo.hears_body("echo hark")
        self.assertEqual(heard["from"].full, f"sms@{BRIDGE}")
        found = await romeo.ask("get", DISCO, BRIDGE)
        self.assertEqual(found[0].get("category"), "gateway")
        bridge.send_message(mto=romeo.boundjid.bare, mfrom=f"news@{BRIDGE}", mbody="first word", mtype="chat")
        await romeo.hears_body("first word")

    async def test_messages_wait_for_it_and_questions_do_not(self):
        romeo = await self.client("romeo")
        self.assertEqual(await romeo.refused("get", DISCO, BRIDGE), "service-unavailable")
        romeo.chat(f"sms@{BRIDGE}", "are you there")
        await romeo.settled()
        await self.bridge().enter()
        await romeo.hears_body("echo are you there")

    async def test_a_wrong_secret_and_a_foreign_domain(self):
        for options, condition in (({"secret": "wrong"}, "not-authorized"), ({"domain": DOMAIN}, "host-unknown")):
            stranger = self.bridge(**options)
            stranger.connect("127.0.0.1", self.server.component_port)
            await asyncio.wait_for(stranger.over.wait(), PATIENCE)
            self.assertEqual(stranger.stream_error, condition)

    async def test_the_newer_of_two_wins_and_goes_on(self):
        older = await self.bridge().enter()
        romeo = await self.client("romeo")
        romeo.chat(f"sms@{BRIDGE}", "one")
        await romeo.hears_body("echo one")
        await self.bridge().enter()
        await asyncio.wait_for(older.over.wait(), PATIENCE)
        self.assertEqual(older.stream_error, "conflict")
        romeo.chat(f"sms@{BRIDGE}", "two")
        await romeo.hears_body("echo two")

    async def test_who_speaks_for_others_is_cut_off(self):
        bridge = await self.bridge().enter()
        bridge.send_message(mto=self.user("romeo"), mfrom=self.user("juliet"), mbody="false", mtype="chat")
        await asyncio.wait_for(bridge.over.wait(), PATIENCE)
        self.assertEqual(bridge.stream_error, "invalid-from")

    async def test_who_is_blocked_behind_it_reaches_nobody(self):
        """XEP-0191 §3.3: a person behind a component is asked about like any other; so is the component as a whole."""
        bridge = await self.bridge().enter()
        romeo = await self.client("romeo")
        for blocked in (f"sms@{BRIDGE}", BRIDGE):
            await romeo.plugin["xep_0191"].block({blocked})
            bridge.send_message(mto=romeo.boundjid.bare, mfrom=f"sms@{BRIDGE}", mbody="first word", mtype="chat")
            refused = await asyncio.wait_for(bridge.errors.get(), PATIENCE)
            self.assertIn("service-unavailable", str(refused))
            bridge.send_presence(pto=romeo.boundjid.bare, pfrom=f"sms@{BRIDGE}")
            bridge.send_presence(pto=romeo.boundjid.bare, pfrom=f"sms@{BRIDGE}", ptype="subscribe")
            romeo.chat(f"sms@{BRIDGE}", "hark")
            error = await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
            self.assertEqual(error["error"]["condition"], "not-acceptable")
            await romeo.plugin["xep_0191"].unblock({blocked})
            bridge.send_message(mto=romeo.boundjid.bare, mfrom=f"sms@{BRIDGE}", mbody="a word later", mtype="chat")
            await romeo.hears_body("a word later")
            self.assertFalse(romeo.heard_any(lambda s: s.name == "presence" and s["from"].domain == BRIDGE))
