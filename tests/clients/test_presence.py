"""What an operator is told of presence: who was told what, why, and whether somebody is really there."""

import asyncio
import json
import subprocess
import tomllib
import urllib.request

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from client import settled
from scenario import Scenario
from servers import chosen, Balcony


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

    async def test_an_operator_is_told_who_was_told_what(self):
        if chosen() is not Balcony:
            return
        romeo, juliet = await self.friends()
        juliet.send_presence(pshow="away")
        await romeo.hears_presence("available", juliet.boundjid.full, show="away")
        told = self.explain(romeo.boundjid.bare, juliet.boundjid.bare)["told"]
        self.assertEqual([(one["to"], one["of"], one["show"], one["path"]) for one in told],
                         [(romeo.boundjid.full, juliet.boundjid.full, "away", "broadcast")])
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        explained = self.explain(romeo.boundjid.bare, juliet.boundjid.bare)
        self.assertEqual(explained["told"], [])
        self.assertTrue(any("denied" in reason for reason in explained["reasons"]), explained)

    async def test_a_poke_in_a_contacts_name_knows_what_the_contact_may_know(self):
        if chosen() is not Balcony:
            return
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

    def metrics(self):
        configuration = tomllib.loads((self.server.directory / "balcony.toml").read_text())
        with urllib.request.urlopen(f"http://{configuration['metrics']['listen']}/metrics", timeout=10) as answer:
            return answer.read().decode().splitlines()
