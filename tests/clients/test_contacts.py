"""Ten thousand contacts for real: put in one by one, given out whole, no more than the limit, and there after a crash."""

import pathlib
import re
import time

from client import settled
from scenario import Scenario, balcony_only
from servers import Balcony, DOMAIN, chosen
from wire import CLIENT, Wire

CONTACTS = 10_000
AT_ONCE = 500
ROSTER = "{jabber:iq:roster}"
CONDITION = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


class Roomy(Balcony):
    limits = f"roster_items = {CONTACTS}"


class TenThousand(Scenario):
    people = ("romeo",)

    @classmethod
    def setUpClass(cls):
        cls.server = (Roomy if chosen() is Balcony else chosen())(registration=cls.registration).start()
        cls.addClassCleanup(cls.server.__exit__)
        cls.tests = 0

    def resident(self):
        """Of the server, in MiB."""
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    async def answered(self, wire):
        """The next answer, without what else comes."""
        while True:
            element = await wire.next()
            if element.tag == CLIENT + "iq" and element.get("type") in ("result", "error"):
                return element

    async def put(self, wire, number):
        wire.send(f"<iq type='set' id='{number}'><query xmlns='jabber:iq:roster'>"
                  f"<item jid='friend{number}@capulet.lit' name='Friend number {number}'><group>Friends</group></item>"
                  f"</query></iq>")

    async def roster(self, wire, version=None):
        wire.send(f"<iq type='get' id='r'><query xmlns='jabber:iq:roster'{version or ''}/></iq>")
        answer = await self.answered(wire)
        self.assertEqual(answer.get("type"), "result")
        return answer.findall(f"{ROSTER}query/{ROSTER}item")

    async def wire(self):
        wire = await Wire.connect(self.server, tls=True)
        await wire.login(self.name("romeo"), "secret")
        return await wire.bind("desk")

    @balcony_only
    async def test_they_are_kept_given_out_and_no_more_than_the_limit(self):
        before, started = self.resident(), time.monotonic()
        wire = await self.wire()
        for first in range(0, CONTACTS, AT_ONCE):
            for number in range(first, first + AT_ONCE):
                await self.put(wire, number)
            for number in range(first, first + AT_ONCE):
                answer = await self.answered(wire)
                self.assertEqual((answer.get("id"), answer.get("type")), (str(number), "result"))
        put = time.monotonic() - started

        # One too many, and those that are there can still be changed.
        await self.put(wire, CONTACTS)
        refused = await self.answered(wire)
        self.assertEqual(refused.get("type"), "error")
        self.assertIsNotNone(refused.find(f"{CLIENT}error/{CONDITION}policy-violation"))
        await self.put(wire, 7)
        self.assertEqual((await self.answered(wire)).get("type"), "result")

        # slixmpp takes the roster in at login.
        started = time.monotonic()
        romeo = await self.client("romeo")
        login = time.monotonic() - started
        self.assertEqual(len(set(romeo.client_roster.keys()) - {romeo.boundjid.bare}), CONTACTS)
        await settled(romeo)
        after = self.resident()
        await romeo.logout()
        wire.cut()

        self.server.kill()
        self.server.start()
        started = time.monotonic()
        wire = await self.wire()
        items = await self.roster(wire)
        fetched = time.monotonic() - started
        self.assertEqual(len(items), CONTACTS)
        self.assertEqual({item.get("jid") for item in items}, {f"friend{n}@capulet.lit" for n in range(CONTACTS)})
        self.assertEqual(items[0].findtext(f"{ROSTER}group"), "Friends")
        # Nothing is sent when nothing has changed (XEP-0237).
        wire.send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>")
        version = (await self.answered(wire))[0].get("ver")
        wire.send(f"<iq type='get' id='w'><query xmlns='jabber:iq:roster' ver='{version}'/></iq>")
        self.assertEqual(len(await self.answered(wire)), 0)
        wire.cut()
        print(f"{CONTACTS} contacts: {put:.1f} s to put in, {login:.1f} s for slixmpp to log in and read them, "
              f"{fetched:.2f} s to log in and fetch them after a crash; {after - before:.1f} MiB more in memory")
