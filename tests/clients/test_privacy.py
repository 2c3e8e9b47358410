"""Privacy lists and blocking, two views of one thing, seen from both sides; and why, as an operator asks."""

import json

from client import settled
from scenario import Scenario, balcony_only
from servers import chosen, Balcony


class Privacy(Scenario):
    async def client(self, person, **options):
        client = await super().client(person, **options)
        client.register_plugin("xep_0016")
        return client

    async def friends(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        for asks, answers in ((romeo, juliet), (juliet, romeo)):
            asks.send_presence_subscription(answers.boundjid.bare)
            await answers.hears_presence("subscribe", asks.boundjid.bare)
            answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
            await asks.hears_presence("available", answers.boundjid.bare)
        await settled(romeo, juliet)
        for client in (romeo, juliet):
            client.heard.clear()
        return romeo, juliet

    def explain(self, sender, recipient, kind):
        command = (self.server.binary, "privacy", "explain", str(sender), str(recipient), kind)
        told = self.server.run(*command, "--json", "--config", "balcony.toml")
        self.assertTrue(self.server.run(*command, "--config", "balcony.toml"))
        return json.loads(told)["verdicts"]

    async def test_a_list_against_messages_lets_presence_pass(self):
        romeo, juliet = await self.friends()
        lists = juliet.plugin["xep_0016"]
        await lists.edit_list("silence", [{"value": romeo.boundjid.bare, "type": "jid", "action": "deny", "order": "1",
                                           "message": True}])
        romeo.chat(juliet.boundjid.bare, "a list that nobody uses")
        await juliet.hears_body("a list that nobody uses")
        await lists.make_default("silence")
        romeo.chat(juliet.boundjid.bare, "dost thou hear?")
        error = await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
        self.assertEqual(error["error"]["condition"], "service-unavailable")
        romeo.send_presence(pshow="away")
        await juliet.hears_presence("available", romeo.boundjid.full, show="away")
        self.assertFalse(juliet.heard_any(lambda s: s.name == "message"))

        answer = await lists.get_privacy_lists()
        self.assertEqual(answer["privacy"]["default"]["name"], "silence")
        await lists.remove_default()
        await lists.remove_list("silence")
        romeo.chat(juliet.boundjid.bare, "and now?")
        await juliet.hears_body("and now?")

    async def test_a_block_shows_in_the_default_list_and_ends_there(self):
        romeo, juliet = await self.friends()
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        answer = await juliet.plugin["xep_0016"].get_privacy_lists()
        self.assertTrue(answer["privacy"]["default"]["name"])
        romeo.chat(juliet.boundjid.bare, "hello?")
        await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
        await juliet.plugin["xep_0191"].unblock({romeo.boundjid.bare})
        await romeo.hears_presence("available", juliet.boundjid.full)
        romeo.chat(juliet.boundjid.bare, "hello again")
        await juliet.hears_body("hello again")

    @balcony_only
    async def test_an_operator_is_told_which_rule_decides(self):
        romeo, juliet = await self.friends()
        for verdict in self.explain(romeo.boundjid.bare, juliet.boundjid.bare, "message"):
            self.assertTrue(verdict["passes"])
            self.assertIsNone(verdict["list"])
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        out, into = self.explain(romeo.boundjid.full, juliet.boundjid.bare, "message")
        self.assertEqual((out["direction"], out["passes"]), ("out", True))
        self.assertEqual((into["direction"], into["passes"], into["account"]), ("in", False, juliet.boundjid.bare))
        self.assertIn(romeo.boundjid.bare, into["explanation"])
        running = self.explain(romeo.boundjid.bare, juliet.boundjid.bare, "message")
        out, into = self.explain(juliet.boundjid.bare, romeo.boundjid.bare, "iq")
        self.assertEqual((out["passes"], into["passes"]), (False, True))
        # An active list binds its session alone.
        lists = romeo.plugin["xep_0016"]
        await lists.edit_list("nobody", [{"value": "", "action": "deny", "order": "7"}])
        await lists.activate("nobody")
        out, _ = self.explain(romeo.boundjid.full, "nurse@capulet.lit", "message") + [None]
        self.assertEqual((out["list"], out["active"], out["order"], out["passes"]), ("nobody", True, 7, False))
        self.assertTrue(self.explain(romeo.boundjid.bare, "nurse@capulet.lit", "message")[0]["passes"])
        # Stopped, the store is asked: what is not tied to a session is the same.
        for client in (romeo, juliet):
            await client.logout()
        self.server.stop()
        self.assertEqual(self.explain(romeo.boundjid.bare, juliet.boundjid.bare, "message"), running)
        self.server.start()

    async def test_who_is_blocked_is_seen_to_leave_and_to_return(self):
        romeo, juliet = await self.friends()
        desk = await self.client("juliet", resource="desk")
        for device in (juliet, desk):
            device.heard.clear()
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        await romeo.hears_presence("unavailable", desk.boundjid.full)
        if chosen() is Balcony:
            # XEP-0016 §2.10, a SHOULD.
            for device in (juliet, desk):
                await device.hears_presence("unavailable", romeo.boundjid.full)
        await juliet.plugin["xep_0191"].unblock({romeo.boundjid.bare})
        for device in (juliet, desk):
            await device.hears_presence("available", romeo.boundjid.full)
            await romeo.hears_presence("available", device.boundjid.full)

    @balcony_only
    async def test_a_contact_moved_into_a_hidden_group_is_gone_at_once(self):
        romeo, juliet = await self.friends()
        juliet.update_roster(self.user("nurse"), groups=["Enemies"])
        await settled(juliet)
        lists = juliet.plugin["xep_0016"]
        await lists.edit_list("enemies", [{"value": "Enemies", "type": "group", "action": "deny", "order": "1"}])
        await lists.make_default("enemies")
        await settled(juliet, romeo)
        self.assertFalse(romeo.heard_any(lambda s: s.name == "presence"))
        juliet.update_roster(romeo.boundjid.bare, groups=["Enemies"])
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        await juliet.hears_presence("unavailable", romeo.boundjid.full)
        romeo.chat(juliet.boundjid.bare, "hello?")
        await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
        juliet.update_roster(romeo.boundjid.bare, groups=["Friends"])
        await romeo.hears_presence("available", juliet.boundjid.full)
        await juliet.hears_presence("available", romeo.boundjid.full)

    async def test_who_is_blocked_learns_nothing(self):
        """The blocked one asks everything of somebody at home and of somebody away, and cannot tell them apart."""
        romeo, juliet = await self.friends()
        nurse = await self.client("nurse", resource=juliet.boundjid.resource)
        for blocker in (juliet, nurse):
            await blocker.plugin["xep_0191"].block({romeo.boundjid.bare})
        away = nurse.boundjid.full
        await nurse.logout()
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        romeo.heard.clear()
        questions = [
            "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:version'/>", "<vCard xmlns='vcard-temp'/>",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<ping xmlns='urn:xmpp:ping'/>",
            "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<time xmlns='urn:xmpp:time'/>",
            "<query xmlns='jabber:iq:roster'/>", "<poke xmlns='http://jabber.org/protocol/poke'/>",
        ]

        async def learns(full):
            """All that comes back, without the name of whom was asked."""
            bare, told = full.partition("/")[0], []
            for question in questions:
                for to in (full, bare, f"{bare}/nowhere"):
                    told.append(await romeo.refused("get", question, to))
            for kind in ("chat", "normal", "headline", "groupchat"):
                for to in (full, bare):
                    romeo.make_message(mto=to, mbody="art thou there?", mtype=kind).send()
            for kind in ("probe", "subscribe", "unsubscribe", "unavailable", None):
                for to in (full, bare):
                    romeo.make_presence(pto=to, ptype=kind).send()
            for _ in range(4):
                error = await romeo.hears(lambda s: s.name == "message")
                told.append((error["type"], error["error"]["condition"], error["error"]["type"], error["error"]["text"]))
            await settled(romeo, juliet, romeo)
            told += [(stanza.name, stanza["type"]) for stanza in romeo.heard if stanza.name != "iq"]
            romeo.heard.clear()
            return told

        there, gone = await learns(juliet.boundjid.full), await learns(away)
        self.assertEqual(there, gone)
        self.assertEqual(set(there), {"service-unavailable", ("error", "service-unavailable", "cancel", "")})
        self.assertFalse(juliet.heard_any(lambda s: s["from"].bare == romeo.boundjid.bare
                                          and s["type"] != "unavailable"))
        # What happens to who blocks is not seen either.
        juliet.send_presence(pshow="dnd")
        await juliet.logout()
        await settled(romeo)
        self.assertFalse(romeo.heard_any(lambda s: s.name == "presence"), [*map(str, romeo.heard)])
