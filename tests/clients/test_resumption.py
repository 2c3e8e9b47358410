"""A session outlives its connection: real cuts, slixmpp's own stream management, and a pause over BOSH."""

import asyncio
import json
import tomllib
import urllib.request

import bosh
from client import PATIENCE, settled
from relay import Relay
from scenario import Scenario, balcony_only


class Resumption(Scenario):
    people = ("romeo", "juliet")

    async def on_the_way(self):
        """Romeo behind a network that can be taken away, and juliet, who see each other."""
        self.network = await self.enterAsyncContext(Relay(self.server.port))
        romeo = await self.client("romeo", management=True, port=self.network.port)
        juliet = await self.client("juliet")
        romeo.send_presence_subscription(juliet.boundjid.bare)
        await juliet.hears_presence("subscribe", romeo.boundjid.bare)
        juliet.send_presence_subscription(romeo.boundjid.bare, ptype="subscribed")
        juliet.send_presence_subscription(romeo.boundjid.bare)
        await romeo.hears_presence("subscribe", juliet.boundjid.bare)
        romeo.send_presence_subscription(juliet.boundjid.bare, ptype="subscribed")
        await juliet.hears_presence("available", romeo.boundjid.full)
        await settled(romeo, juliet)
        return romeo, juliet

    async def hears_all_once(self, client, bodies):
        for body in bodies:
            await client.hears_body(body)
        await client.settled()
        self.assertFalse(client.heard_any(lambda s: s.name == "message"), [*map(str, client.heard)])

    async def test_xep0198_5_a_cut_socket_is_nothing_that_others_notice(self):
        romeo, juliet = await self.on_the_way()
        for number in range(3):
            self.network.cut()
            await asyncio.wait_for(romeo.over.wait(), PATIENCE)
            said = [f"night {number}, word {word}" for word in range(5)]
            for body in said:
                juliet.chat(romeo.boundjid.bare, body)
            await juliet.settled()
            self.network.restore()
            await romeo.come_back()
            await self.hears_all_once(romeo, said)
            romeo.chat(juliet.boundjid.full, f"back from night {number}")
            await juliet.hears_body(f"back from night {number}")
        self.assertFalse(juliet.heard_any(lambda s: s.name == "presence" and s["type"] == "unavailable"))

    async def test_xep0198_5_the_server_may_still_believe_in_the_old_socket(self):
        romeo, juliet = await self.on_the_way()
        self.network.leave_half_open()
        await asyncio.wait_for(romeo.over.wait(), PATIENCE)
        juliet.chat(romeo.boundjid.full, "into a socket that leads nowhere")
        await juliet.settled()
        await romeo.come_back()
        await self.hears_all_once(romeo, ["into a socket that leads nowhere"])
        romeo.chat(juliet.boundjid.full, "art thou there?")
        await juliet.hears_body("art thou there?")
        self.assertFalse(juliet.heard_any(lambda s: s.name == "presence" and s["type"] == "unavailable"))

    @balcony_only
    async def test_xep0198_5_a_session_that_is_over_ends_in_a_new_one_and_nothing_is_lost(self):
        romeo, juliet = await self.on_the_way()
        self.network.cut()
        await asyncio.wait_for(romeo.over.wait(), PATIENCE)
        self.assertEqual(await self.paused(romeo), "stream-management")
        juliet.chat(romeo.boundjid.full, "said to the night")
        await juliet.settled()
        self.balcony("session", "kick", romeo.boundjid.full)
        await juliet.hears_presence("unavailable", romeo.boundjid.full)
        self.network.restore()
        await romeo.come_back("session_start")
        romeo.send_presence()
        await self.hears_all_once(romeo, ["said to the night"])

    @balcony_only
    async def test_a_pause_has_a_cause_that_operators_see(self):
        romeo, juliet = await self.on_the_way()
        self.assertIn(self.row("paused_sm", 0), self.metrics())
        self.network.cut()
        self.assertEqual(await self.paused(romeo), "stream-management")
        self.assertIn(self.row("paused_sm", 1), self.metrics())
        told = self.explain(juliet, romeo)
        self.assertTrue(any("XEP-0198" in reason for reason in told["reasons"]), told)
        self.network.restore()
        await romeo.come_back()
        self.assertIn(self.row("paused_sm", 0), self.metrics())

        # XEP-0124 §10: answered at once, and known to the account.
        tab = await asyncio.to_thread(bosh.Session.login, self.server, self.name("romeo"), "secret", "tab")
        await asyncio.to_thread(tab.request, "<presence xmlns='jabber:client'/>")
        await juliet.hears_presence("available", f"{romeo.boundjid.bare}/tab")
        answer = await asyncio.to_thread(tab.request, pause="60")
        self.assertEqual((answer.get("type"), len(answer)), (None, 0))
        self.assertEqual(await self.paused(f"{romeo.boundjid.bare}/tab"), "bosh")
        rows = self.metrics()
        self.assertIn(self.row("paused_bosh", 1), rows)
        self.assertIn(self.row("paused_sm", 0), rows)
        self.assertIn('xmpp_bosh_sessions{state="paused"} 1', rows)
        told = self.explain(juliet, romeo)
        self.assertTrue(any("BOSH" in reason for reason in told["reasons"]), told)
        self.assertEqual({one["pause_cause"] for one in told["told"]}, {None, "bosh"})
        juliet.chat(f"{romeo.boundjid.bare}/tab", "art thou there?")
        await juliet.settled()
        heard = await asyncio.to_thread(tab.hear, "art thou there?")
        self.assertEqual(heard.tag, "{jabber:client}message")
        self.assertIn(self.row("paused_bosh", 0), self.metrics())
        await asyncio.to_thread(tab.end)

    def row(self, state, count):
        return f'xmpp_sessions{{vhost="montague.lit",state="{state}"}} {count}'

    def balcony(self, *command):
        return self.server.run(self.server.binary, *command, "--config", "balcony.toml")

    def explain(self, viewer, contact):
        return json.loads(self.balcony("presence", "explain", viewer.boundjid.bare, contact.boundjid.bare, "--json"))

    async def paused(self, session):
        """What keeps the session for its client, as soon as it is paused."""
        session = getattr(session, "boundjid", session)
        for _ in range(200):
            listed = json.loads(await asyncio.to_thread(self.balcony, "session", "list", "--json"))
            for one in listed["sessions"]:
                if one["address"] == str(session) and one["paused"]:
                    return one["pause_cause"]
        raise AssertionError(f"{session} is not paused: {listed}")

    def metrics(self):
        configuration = tomllib.loads((self.server.directory / "balcony.toml").read_text())
        with urllib.request.urlopen(f"http://{configuration['metrics']['listen']}/metrics", timeout=10) as answer:
            return answer.read().decode().splitlines()
