"""Two and three people in a room, with a client library that nobody here wrote (XEP-0045)."""

from xml.etree import ElementTree

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

    async def test_a_word_aside_another_name_and_who_may_what(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        await self.enters(juliet, "juliet")
        # §7.5: only romeo hears it, under her name in the room.
        juliet.chat(f"{self.room()}/romeo", "aside", "chat")
        aside = await romeo.hears_body("aside")
        self.assertEqual(str(aside["from"]), f"{self.room()}/juliet")
        # §7.6.
        juliet.send_presence(pto=f"{self.room()}/capulet")
        await self.hears_code(romeo, 303)
        await romeo.hears_presence("available", f"{self.room()}/capulet")
        await settled(romeo, juliet)
        self.assertEqual(self.occupants(romeo), {"romeo", "capulet"})
        # §9.3, §9.6: she becomes a member, and then a moderator.
        rooms = romeo.plugin["xep_0045"]
        await rooms.set_affiliation(self.room(), "member", jid=self.user("juliet"))
        await rooms.set_role(self.room(), "capulet", "moderator")
        members = await rooms.get_affiliation_list(self.room(), "member")
        self.assertEqual([str(jid) for jid in members], [self.user("juliet")])
        self.assertEqual(set(await rooms.get_roles_list(self.room(), "moderator")), {"romeo", "capulet"})

    async def test_an_invitation_and_what_there_is_to_be_found(self):
        romeo, juliet = await self.owner(), await self.person("juliet")
        # §7.8.2.
        romeo.plugin["xep_0045"].invite(self.room(), self.user("juliet"), reason="come")
        invitation = await juliet.hears(lambda s: s.name == "message" and s.xml.find(f".//{MUC_USER}invite") is not None)
        self.assertEqual(str(invitation["from"]), self.room())
        # XEP-0249.
        romeo.register_plugin("xep_0249")
        juliet.register_plugin("xep_0249")
        romeo.plugin["xep_0249"].send_invitation(juliet.boundjid, self.room(), reason="do come")
        await juliet.hears(lambda s: s.name == "message" and s.xml.find("{jabber:x:conference}x") is not None)
        # §6.3, §6.4.
        juliet.register_plugin("xep_0030")
        items = await juliet.plugin["xep_0030"].get_items(ROOMS)
        self.assertIn(self.room(), {str(item[0]) for item in items["disco_items"]["items"]})
        info = await juliet.plugin["xep_0030"].get_info(self.room())
        self.assertIn("http://jabber.org/protocol/muc", info["disco_info"]["features"])
        # XEP-0410 §3.3, and §7.10.
        juliet.register_plugin("xep_0199")
        with self.assertRaises(IqError) as outside:
            await juliet.plugin["xep_0199"].send_ping(f"{self.room()}/juliet")
        self.assertEqual(outside.exception.condition, "not-acceptable")
        await self.enters(juliet, "juliet")
        await juliet.plugin["xep_0199"].send_ping(f"{self.room()}/juliet")
        register = juliet.make_iq_set(ito=self.room())
        register.append(ElementTree.fromstring(
            "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'>"
            "<value>juliet</value></field></x></query>"))
        await register.send()
        members = await romeo.plugin["xep_0045"].get_affiliation_list(self.room(), "member")
        self.assertEqual([str(jid) for jid in members], [self.user("juliet")])
