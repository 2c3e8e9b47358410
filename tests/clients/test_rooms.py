"""Two and three people in a room, with a client library that nobody here wrote (XEP-0045)."""

from slixmpp.exceptions import IqError, PresenceError

from client import settled
from scenario import Scenario
from servers import ROOMS

MUC_USER = "{http://jabber.org/protocol/muc#user}"


class Rooms(Scenario):
    def room(self):
        return f"room{self.number}@{ROOMS}"

    async def person(self, name):
        client = await self.client(name)
        client.register_plugin("xep_0045")
        return client

    async def enters(self, client, nick):
        """Enters, and is in the room when the own presence and then the subject have come (§7.2.2)."""
        def is_own(stanza):
            codes = [status.get("code") for status in stanza.xml.iter(f"{MUC_USER}status")]
            is_in = "110" in codes and stanza.xml.get("type") is None
            return (stanza.name == "presence" and str(stanza["from"]) == f"{self.room()}/{nick}"
                    and (is_in or stanza["type"] == "error"))
        client.plugin["xep_0045"].join_muc(self.room(), nick, maxhistory="20")
        own = await client.hears(is_own)
        if own["type"] == "error":
            raise PresenceError(own)
        return await client.hears(lambda stanza: stanza.xml.find("{jabber:client}subject") is not None)

    async def owner(self):
        """Somebody who made a room and took it as it is."""
        romeo = await self.person("romeo")
        await self.enters(romeo, "romeo")
        form = await romeo.plugin["xep_0045"].get_room_config(self.room())
        form["type"] = "submit"
        await romeo.plugin["xep_0045"].set_room_config(self.room(), form)
        return romeo

    def occupants(self, client):
        return set(client.plugin["xep_0045"].get_roster(self.room()))

    async def hears_code(self, client, code):
        """Presence or a message with this status code (XEP-0045 §15.6)."""
        def codes(stanza):
            return [status.get("code") for status in stanza.xml.iter(f"{MUC_USER}status")]
        return await client.hears(lambda stanza: str(code) in codes(stanza))

    async def test_two_talk(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        await self.enters(juliet, "juliet")
        self.assertEqual(self.occupants(juliet), {"romeo", "juliet"})
        for sender, nick in ((romeo, "romeo"), (juliet, "juliet")):
            sender.chat(self.room(), f"{nick} speaks", "groupchat")
            for reader in (romeo, juliet):
                heard = await reader.hears_body(f"{nick} speaks")
                self.assertEqual(str(heard["from"]), f"{self.room()}/{nick}")

    async def test_who_comes_later_hears_what_was_said_and_the_subject(self):
        romeo = await self.owner()
        romeo.chat(self.room(), "nobody hears me", "groupchat")
        await romeo.hears_body("nobody hears me")
        romeo.plugin["xep_0045"].set_subject(self.room(), "The balcony")
        await romeo.hears(lambda s: s.name == "message" and s["subject"] == "The balcony")
        juliet = await self.person("juliet")
        subject = await self.enters(juliet, "juliet")
        self.assertEqual(subject["subject"], "The balcony")
        said = await juliet.hears_body("nobody hears me")
        self.assertIsNotNone(said.xml.find("{urn:xmpp:delay}delay"))

    async def test_a_kick_and_a_way_back(self):
        romeo, juliet, nurse = await self.owner(), await self.person("juliet"), await self.person("nurse")
        await self.enters(juliet, "juliet")
        await self.enters(nurse, "nurse")
        await romeo.plugin["xep_0045"].set_role(self.room(), "nurse", "none", reason="peace")
        for reader in (romeo, juliet, nurse):
            await self.hears_code(reader, 307)
        self.assertEqual(self.occupants(juliet), {"romeo", "juliet"})
        await self.enters(nurse, "nurse")
        await settled(romeo, juliet)
        self.assertEqual(self.occupants(juliet), {"romeo", "juliet", "nurse"})

    async def test_a_ban_and_no_way_back(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        await self.enters(juliet, "juliet")
        await romeo.plugin["xep_0045"].set_affiliation(self.room(), "outcast", jid=self.user("juliet"))
        await self.hears_code(juliet, 301)
        banned = await romeo.plugin["xep_0045"].get_affiliation_list(self.room(), "outcast")
        self.assertEqual([str(jid) for jid in banned], [self.user("juliet")])
        with self.assertRaises(PresenceError) as refused:
            await self.enters(juliet, "juliet")
        self.assertEqual(refused.exception.condition, "forbidden")

    async def test_an_owner_configures_and_others_do_not(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        form = await romeo.plugin["xep_0045"].get_room_config(self.room())
        form["type"] = "submit"
        values = {**form.get_values(), "muc#roomconfig_membersonly": True, "muc#roomconfig_roomname": "Members"}
        form.set_values(values)
        await romeo.plugin["xep_0045"].set_room_config(self.room(), form)
        await self.hears_code(romeo, 104)
        with self.assertRaises(PresenceError) as refused:
            await self.enters(juliet, "juliet")
        self.assertEqual(refused.exception.condition, "registration-required")
        with self.assertRaises(IqError):
            await juliet.plugin["xep_0045"].get_room_config(self.room())
        await romeo.plugin["xep_0045"].set_affiliation(self.room(), "member", jid=self.user("juliet"))
        await self.enters(juliet, "juliet")

    async def test_leaving_and_losing_the_connection(self):
        romeo, juliet, nurse = await self.owner(), await self.person("juliet"), await self.person("nurse")
        await self.enters(juliet, "juliet")
        await self.enters(nurse, "nurse")
        juliet.plugin["xep_0045"].leave_muc(self.room(), "juliet")
        await romeo.hears_presence("unavailable", f"{self.room()}/juliet")
        nurse.abort()
        await romeo.hears_presence("unavailable", f"{self.room()}/nurse")
        self.assertEqual(self.occupants(romeo), {"romeo"})

    async def test_a_room_ends_for_all(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        await self.enters(juliet, "juliet")
        await romeo.plugin["xep_0045"].destroy(self.room(), reason="over")
        gone = await juliet.hears_presence("unavailable", f"{self.room()}/juliet")
        self.assertIsNotNone(gone.xml.find(f".//{MUC_USER}destroy"))
