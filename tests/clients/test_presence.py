"""What an operator is told of presence: who was told what, why, and whether somebody is really there."""

import asyncio
import datetime
import json
import subprocess
import time
import tomllib
import urllib.request
from xml.etree import ElementTree

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from client import settled
from scenario import Scenario, balcony_only


class Presence(Scenario):
    async def friends(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        for asks, answers in ((romeo, juliet), (juliet, romeo)):
            asks.send_presence_subscription(answers.boundjid.bare)
            await answers.hears_presence("subscribe", asks.boundjid.bare)
            answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
            await asks.hears_presence("available", answers.boundjid.bare)
        await settled(romeo, juliet)
        return romeo, juliet

    def explain(self, viewer, contact):
        command = (self.server.binary, "presence", "explain", str(viewer), str(contact), "--config", "balcony.toml")
        self.assertTrue(self.server.run(*command))
        return json.loads(self.server.run(*command, "--json"))

    @balcony_only
    async def test_an_operator_is_told_who_was_told_what(self):
        romeo, juliet = await self.friends()
        juliet.send_presence(pshow="away")
        await romeo.hears_presence("available", juliet.boundjid.full, show="away")
        told = self.explain(romeo.boundjid.bare, juliet.boundjid.bare)["told"]
        self.assertEqual([(one["to"], one["of"], one["show"], one["path"]) for one in told],
                         [(romeo.boundjid.full, juliet.boundjid.full, "away", "broadcast")])
        # When she said so, and not when he came.
        self.assertLess(abs(time.time() - datetime.datetime.fromisoformat(told[0]["since"]).timestamp()), 60)
        juliet.send_presence(ptype="unavailable", pto=romeo.boundjid.bare)
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        explained = self.explain(romeo.boundjid.bare, juliet.boundjid.bare)
        self.assertEqual(explained["told"], [])
        self.assertTrue(any("has said goodbye to" in reason for reason in explained["reasons"]), explained)
        self.assertTrue(any("asks for annotations" in reason for reason in explained["reasons"]), explained)
        juliet.send_presence()
        await romeo.hears_presence("available", juliet.boundjid.full)
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        explained = self.explain(romeo.boundjid.bare, juliet.boundjid.bare)
        self.assertEqual(explained["told"], [])
        self.assertTrue(any("denied" in reason for reason in explained["reasons"]), explained)

    @balcony_only
    async def test_a_poke_in_a_contacts_name_knows_what_the_contact_may_know(self):
        romeo, juliet = await self.friends()
        await self.client("nurse")
        command = (self.server.binary, "poke", romeo.boundjid.bare, "--config", "balcony.toml", "--json", "--as")

        async def poke(contact):
            process = await asyncio.create_subprocess_exec(
                *command, contact, cwd=self.server.directory, stdout=subprocess.PIPE)
            told, _ = await asyncio.wait_for(process.communicate(), 60)
            return process.returncode, json.loads(told)

        code, told = await poke(self.user("nurse"))
        self.assertEqual((code, told["error"], told["code"], told["found"]), (1, "forbidden", 403, None))
        # slixmpp knows no pokes and declines.
        code, told = await poke(juliet.boundjid.bare)
        self.assertEqual((code, told["error"], told["code"]), (1, "remote-server-timeout", 408))
        question = MatchXPath("{jabber:client}iq/{http://jabber.org/protocol/poke}poke")
        romeo.register_handler(Callback("poke", question, lambda iq: iq.reply().send()))
        code, told = await poke(juliet.boundjid.bare)
        self.assertEqual((code, told["found"], told["error"]), (0, romeo.boundjid.full, None))
        rows = self.metrics()
        for outcome, count in (("forbidden", 1), ("timeout", 1), ("present", 1), ("rate_limited", 0)):
            self.assertIn(f'xmpp_poke_requests_total{{source="presence",outcome="{outcome}"}} {count}', rows)
        self.assertIn('xmpp_psa_active_annotations{condition="server_unavailable",trigger="s2s"} 0', rows)
        self.assertIn('xmpp_attention_total{decision="blocked"} 0', rows)

    @balcony_only
    async def test_the_figures_of_presence_are_those_of_what_happened(self):
        before = self.figures()
        romeo, juliet = await self.friends()
        stranger = await self.client("nurse")
        await settled(romeo, juliet, stranger)
        # The other form of a poke is a request between clients: answered by one, and refused to a stranger.
        question = MatchXPath("{jabber:client}iq/{http://jabber.org/protocol/poke}poke")
        poke = "<poke xmlns='http://jabber.org/protocol/poke'/>"

        def found(iq):
            reply = iq.reply()
            reply.append(ElementTree.fromstring(poke))
            reply.send()

        romeo.register_handler(Callback("poke", question, found))
        await juliet.ask("get", poke, romeo.boundjid.full)
        await stranger.refused("get", poke, romeo.boundjid.full)
        # A wish to see presence, answered; a call for attention.
        stranger.send_raw(f"<presence to='{juliet.boundjid.bare}'><decloak xmlns='urn:xmpp:decloak:0' reason='media'/></presence>")
        await juliet.hears_presence("available", stranger.boundjid.full)
        juliet.send_raw(f"<presence to='{stranger.boundjid.full}'/>")
        await stranger.hears_presence("available", juliet.boundjid.full)
        stranger.send_raw(f"<message to='{juliet.boundjid.full}' type='headline'><attention xmlns='urn:xmpp:attention:0'/></message>")
        juliet.send_presence(pshow="away")
        await romeo.hears_presence("available", juliet.boundjid.full, show="away")
        await settled(romeo, juliet, stranger)
        after = self.figures()
        host = romeo.boundjid.host
        for row, least in (
            ('xmpp_poke_requests_total{source="iq",outcome="present"}', 1),
            ('xmpp_poke_requests_total{source="iq",outcome="no_resource"}', 1),
            ('xmpp_decloak_requests_total{reason="media",decision="answered",ns="decloak0"}', 1),
            ("xmpp_decloak_active_leaks", 2),
            ('xmpp_attention_total{decision="delivered"}', 1),
            (f'xmpp_presence_updates_total{{vhost="{host}",origin="local"}}', 4),
            (f'xmpp_presence_broadcast_fanout_count{{vhost="{host}"}}', 4),
        ):
            self.assertGreaterEqual(after[row] - before[row], least, row)
        # Every other row of the presence engine is told from the start.
        names = {row.split("{")[0] for row in after}
        for name in ("xmpp_presence_tracked_entries", "xmpp_psa_annotations_sent_total",
                     "xmpp_psa_annotations_suppressed_total", "xmpp_psa_active_annotations",
                     "xmpp_psa_event_to_send_seconds_bucket", "xmpp_psa_capable_recipients", "xmpp_psa_storm_deferred",
                     "xmpp_poke_duration_seconds_bucket", "xmpp_poke_fanout_resources_bucket", "xmpp_poke_in_flight",
                     "xmpp_muc_selfping_total"):
            self.assertIn(name, names)

    def figures(self):
        rows = (row.rsplit(" ", 1) for row in self.metrics() if not row.startswith("#"))
        return {row: float(value) for row, value in rows}

    def metrics(self):
        configuration = tomllib.loads((self.server.directory / "balcony.toml").read_text())
        with urllib.request.urlopen(f"http://{configuration['metrics']['listen']}/metrics", timeout=10) as answer:
            return answer.read().decode().splitlines()
