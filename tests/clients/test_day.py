"""A family's day on one server: contacts, presence, messages for who is away, and what clients keep there."""

from slixmpp.exceptions import IqError

from client import settled
from scenario import Scenario
from servers import DOMAIN


class Household(Scenario):
    async def friends(self, *people, **options):
        """Clients of people who all see each other's presence."""
        clients = [await self.client(person, **options) for person in people]
        for asks in clients:
            for answers in clients:
                if asks is not answers:
                    await self.subscribe(asks, answers)
        for client in clients:
            await settled(*clients)
            client.heard.clear()
        return clients

    async def subscribe(self, asks, answers):
        asks.send_presence_subscription(answers.boundjid.bare)
        await answers.hears_presence("subscribe", asks.boundjid.bare)
        answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
        await asks.hears_presence("subscribed", answers.boundjid.bare)
        await asks.hears_presence("available", answers.boundjid.bare)


class Roster(Household):
    async def test_a_contact_added_on_one_device_appears_on_the_other(self):
        phone, desk = await self.client("romeo", resource="phone"), await self.client("romeo", resource="desk")
        contact = self.user("juliet")
        await phone.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{contact}' name='Jule &amp; co'>"
                               "<group>Capulets</group></item></query>")
        for device in (phone, desk):
            item = await device.hears_roster_push(contact, name="Jule & co", subscription="none")
            self.assertEqual(item.findtext("{jabber:iq:roster}group"), "Capulets")
        await phone.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{contact}' subscription='remove'/></query>")
        await desk.hears_roster_push(contact, subscription="remove")
        self.assertEqual(await phone.refused("set", "<query xmlns='jabber:iq:roster'>"
                         f"<item jid='{contact}' subscription='remove'/></query>"), "item-not-found")

    async def test_nothing_is_sent_again_to_who_has_the_current_version(self):
        romeo = await self.client("romeo")
        await romeo.ask("set", "<query xmlns='jabber:iq:roster'><item jid='juliet@capulet.lit'/></query>")
        roster = await romeo.ask("get", "<query xmlns='jabber:iq:roster' ver=''/>")
        self.assertEqual(len(roster), 1)
        version = roster.get("ver")
        self.assertIsNone(await romeo.ask("get", f"<query xmlns='jabber:iq:roster' ver='{version}'/>"))

    async def test_two_people_subscribe_to_each_other(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        romeo.send_presence_subscription(juliet.boundjid.bare)
        await romeo.hears_roster_push(juliet.boundjid.bare, subscription="none", ask="subscribe")
        await juliet.hears_presence("subscribe", romeo.boundjid.bare)
        juliet.send_presence_subscription(romeo.boundjid.bare, ptype="subscribed")
        await romeo.hears_roster_push(juliet.boundjid.bare, subscription="to")
        await romeo.hears_presence("available", juliet.boundjid.full)
        await self.subscribe(juliet, romeo)
        await romeo.hears_roster_push(juliet.boundjid.bare, subscription="both")

    async def test_a_request_waits_until_it_is_answered(self):
        romeo = await self.client("romeo")
        request = romeo.make_presence(pto=self.user("juliet"), ptype="subscribe", pstatus="Let me be thy friend")
        request.send()
        await settled(romeo)
        for _ in range(2):
            juliet = await self.client("juliet")
            again = await juliet.hears_presence("subscribe", romeo.boundjid.bare)
            self.assertEqual(again["status"], "Let me be thy friend")
            await juliet.logout()
        juliet = await self.client("juliet")
        juliet.send_presence_subscription(romeo.boundjid.bare, ptype="unsubscribed")
        await romeo.hears_presence("unsubscribed", juliet.boundjid.bare)
        await juliet.logout()
        juliet = await self.client("juliet")
        self.assertFalse(juliet.heard_any(lambda s: s["type"] == "subscribe"))

    async def test_removing_a_contact_ends_both_subscriptions(self):
        romeo, juliet = await self.friends("romeo", "juliet")
        await romeo.ask("set", "<query xmlns='jabber:iq:roster'>"
                               f"<item jid='{juliet.boundjid.bare}' subscription='remove'/></query>")
        await juliet.hears_presence("unsubscribe", romeo.boundjid.bare)
        await juliet.hears_presence("unsubscribed", romeo.boundjid.bare)
        await juliet.hears_presence("unavailable", romeo.boundjid.full)
        await juliet.hears_roster_push(romeo.boundjid.bare, subscription="none")


class Presence(Household):
    async def test_friends_see_who_comes_who_is_away_and_who_goes(self):
        romeo, juliet = await self.friends("romeo", "juliet")
        romeo.send_presence(pshow="away", pstatus="under the balcony")
        seen = await juliet.hears_presence("available", romeo.boundjid.full, show="away")
        self.assertEqual(seen["status"], "under the balcony")
        await romeo.logout()
        await juliet.hears_presence("unavailable", romeo.boundjid.full)
        romeo = await self.client("romeo")
        await juliet.hears_presence("available", romeo.boundjid.full)
        await romeo.hears_presence("available", juliet.boundjid.full)

    async def test_friends_see_who_is_gone_without_a_word(self):
        romeo, juliet = await self.friends("romeo", "juliet")
        romeo.abort()
        await juliet.hears_presence("unavailable", romeo.boundjid.full)

    async def test_strangers_see_nothing_but_what_is_sent_to_them(self):
        romeo, nurse = await self.client("romeo"), await self.client("nurse")
        romeo.send_presence(pshow="dnd")
        await settled(romeo, nurse)
        self.assertFalse(nurse.heard_any(lambda s: s["from"].bare == romeo.boundjid.bare))
        romeo.send_presence(pto=nurse.boundjid.bare, pstatus="only for you")
        await nurse.hears_presence("available", romeo.boundjid.full)
        await romeo.logout()
        await nurse.hears_presence("unavailable", romeo.boundjid.full)


class Away(Household):
    async def test_messages_wait_in_order_with_the_time_they_came(self):
        romeo = await self.client("romeo")
        juliet = self.user("juliet")
        for number in range(10):
            romeo.chat(juliet, f"wait {number}", kind=("chat", "normal")[number % 2])
        romeo.chat(juliet, "breaking news", kind="headline")
        await settled(romeo)
        juliet = await self.client("juliet")
        await juliet.hears(lambda s: s["body"] == "wait 9")
        for number, waited in enumerate(s for s in juliet.heard if s.name == "message"):
            self.assertEqual(waited["body"], f"wait {number}")
            self.assertEqual(waited["from"], romeo.boundjid)
            self.assertIsNotNone(waited["delay"]["stamp"])
        await juliet.logout()
        juliet = await self.client("juliet")
        await settled(juliet)
        self.assertFalse(juliet.heard_any(lambda s: s.name == "message"), "delivered twice, or a headline kept")

    async def test_who_wants_no_messages_finds_them_later(self):
        juliet, romeo = await self.client("juliet", available=False), await self.client("romeo")
        juliet.send_presence(ppriority=-1)
        await settled(juliet)
        romeo.chat(juliet.boundjid.bare, "for later")
        await settled(romeo, juliet)
        self.assertFalse(juliet.heard_any(lambda s: s.name == "message"))
        juliet.send_presence(ppriority=0)
        await juliet.hears_body("for later")


class Blocking(Household):
    async def test_a_blocked_contact_neither_reaches_nor_sees_anybody(self):
        romeo, juliet = await self.friends("romeo", "juliet")
        desk = await self.client("juliet", resource="desk")
        for device in (juliet, desk):
            await device.plugin["xep_0191"].get_blocked()
        await juliet.plugin["xep_0191"].block({romeo.boundjid.bare})
        await desk.hears(lambda s: s.name == "iq" and romeo.boundjid.bare in str(s))
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        romeo.chat(juliet.boundjid.bare, "hello?")
        error = await romeo.hears(lambda s: s.name == "message" and s["type"] == "error")
        self.assertEqual(error["error"]["condition"], "service-unavailable")
        romeo.send_presence(pshow="xa")
        await settled(romeo, juliet)
        # Balcony says to her that he is gone (XEP-0016 §2.10).
        self.assertFalse(juliet.heard_any(lambda s: s["from"].bare == romeo.boundjid.bare and s["type"] != "unavailable"))
        with self.assertRaises(IqError) as refused:
            await juliet.ask("get", "<ping xmlns='urn:xmpp:ping'/>", romeo.boundjid.full)
        self.assertEqual(refused.exception.condition, "not-acceptable")

        self.assertEqual(await desk.plugin["xep_0191"].get_blocked_jids(), {romeo.boundjid.bare})
        await juliet.plugin["xep_0191"].unblock({romeo.boundjid.bare})
        await romeo.hears_presence("available", juliet.boundjid.full)
        romeo.chat(juliet.boundjid.full, "hello again")
        await juliet.hears_body("hello again")


class Features(Household):
    async def test_a_visiting_card(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        card = "<vCard xmlns='vcard-temp'><FN>Romeo Montague</FN><PHOTO><BINVAL>aGVhcnQ=</BINVAL></PHOTO></vCard>"
        await romeo.ask("set", card)
        for reader, to in ((romeo, None), (juliet, romeo.boundjid.bare)):
            read = await reader.ask("get", "<vCard xmlns='vcard-temp'/>", to)
            self.assertEqual(read.findtext("{vcard-temp}FN"), "Romeo Montague")
        self.assertIn(await juliet.refused("set", card, romeo.boundjid.bare), ("forbidden", "not-allowed"))

    async def test_private_notes(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        notes = "<storage xmlns='storage:bookmarks'><conference jid='orchard@rooms.montague.lit' autojoin='1'/></storage>"
        await romeo.ask("set", f"<query xmlns='jabber:iq:private'>{notes}</query>")
        query = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"
        self.assertEqual(len((await romeo.ask("get", query))[0]), 1)
        self.assertEqual(len((await juliet.ask("get", query))[0]), 0)
        self.assertIn(await juliet.refused("get", query, romeo.boundjid.bare), ("forbidden", "service-unavailable"))

    async def test_version_time_and_last_activity(self):
        romeo, juliet = await self.friends("romeo", "juliet")
        version = await romeo.plugin["xep_0092"].get_version(DOMAIN)
        self.assertTrue(version["software_version"]["name"])
        time = await romeo.ask("get", "<time xmlns='urn:xmpp:time'/>", DOMAIN)
        self.assertRegex(time.findtext("{urn:xmpp:time}utc"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        uptime = await romeo.ask("get", "<query xmlns='jabber:iq:last'/>", DOMAIN)
        self.assertGreaterEqual(int(uptime.get("seconds")), 0)
        await juliet.logout()
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        gone = await romeo.ask("get", "<query xmlns='jabber:iq:last'/>", juliet.boundjid.bare)
        self.assertLess(int(gone.get("seconds")), 60)
        nurse = await self.client("nurse")
        self.assertEqual(await nurse.refused("get", "<query xmlns='jabber:iq:last'/>", romeo.boundjid.bare), "forbidden")

    async def test_a_new_password(self):
        romeo = await self.client("romeo")
        await romeo.plugin["xep_0077"].change_password("rose", jid=DOMAIN)
        await romeo.logout()
        with self.assertRaisesRegex(Exception, "not-authorized"):
            await self.client("romeo", password="secret", mechanism="SCRAM-SHA-1")
        await self.client("romeo", password="rose")


class OpenHouse(Household):
    registration = "open"
    people = ()

    async def test_a_family_from_its_first_to_its_last_day(self):
        """All of the above in one sequence, from registration to the end of an account."""
        romeo = await self.client("romeo", register=True)
        juliet = await self.client("juliet", register=True)
        self.assertEqual((await self.register_again("romeo")), "conflict")

        await self.subscribe(romeo, juliet)
        await self.subscribe(juliet, romeo)
        juliet.chat(romeo.boundjid.bare, "wherefore art thou?")
        await romeo.hears_body("wherefore art thou?")
        romeo.send_presence(pshow="away")
        await juliet.hears_presence("available", romeo.boundjid.full, show="away")
        await juliet.logout()
        await romeo.hears_presence("unavailable", juliet.boundjid.full)
        romeo.chat(juliet.boundjid.bare, "under thy window")
        await settled(romeo)

        juliet = await self.client("juliet")
        waited = await juliet.hears_body("under thy window")
        self.assertIsNotNone(waited["delay"]["stamp"])
        await romeo.hears_presence("available", juliet.boundjid.full)

        await romeo.ask("set", "<query xmlns='jabber:iq:register'><remove/></query>")
        await juliet.hears_presence("unavailable", romeo.boundjid.full)
        await juliet.hears_roster_push(romeo.boundjid.bare, subscription="none")
        with self.assertRaisesRegex(Exception, "not-authorized"):
            await self.client("romeo", mechanism="SCRAM-SHA-1")

    async def register_again(self, person):
        with self.assertRaises(IqError) as refused:
            await self.client(person, register=True, resource="again")
        return refused.exception.condition


class ClosedHouse(Household):
    people = ()

    async def test_strangers_cannot_move_in(self):
        with self.assertRaisesRegex(Exception, "nothing came|not-allowed|service-unavailable|not-authorized"):
            await self.client("tybalt", register=True)
