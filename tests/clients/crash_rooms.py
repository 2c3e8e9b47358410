#!/usr/bin/env python3
"""kill -9 while rooms are configured, peopled and talked in: what the server confirmed is there afterwards.

One client per room owns it, and, as fast as answers come, gives it a new name, a new member, a new subject and messages,
each with the next number; it notes which IQs were answered with a result and which messages were acknowledged
(XEP-0198). Rooms are made and destroyed beside. At a random moment the server is killed. After the start each room must
have its last confirmed name or a later one, all confirmed members, the last acknowledged subject or a later one, and of
the newest messages every acknowledged one, once and in order; rooms that are known to be destroyed are gone.

    crash_rooms.py [--rounds 5] [--seed N] [--storage URL]
"""

import argparse
import asyncio
import itertools
import random
import sys
import time

import wire
from servers import DOMAIN, ROOMS, Balcony, Failed

COUNT = 3
HISTORY = 100
WINDOW = 40
FIRST_SECONDS = 60
MUC = "http://jabber.org/protocol/muc"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


class Server(Balcony):
    limits = f"room_messages = \"off\"\nroom_history = {HISTORY}\n"


class Keeper:
    """One room, its owner, and what the server has confirmed of it, over all rounds."""

    def __init__(self, index):
        self.user, self.room = f"keeper{index}", f"room{index}@{ROOMS}"
        self.name, self.members, self.destroyed = -1, set(), {}
        self.said, self.subjects, self.confirmed = [], [-1], 0

    async def enter(self, server):
        """Logs in and enters; gives the history and the subject."""
        self.wire = await (await wire.Wire.connect(server)).login(self.user, "secret")
        await self.wire.bind("home")
        self.wire.send(f"<presence to='{self.room}/keeper'><x xmlns='{MUC}'/></presence>")
        history, subject = [], None
        while subject is None:
            element = await self.wire.next()
            if element.get("type") == "error":
                raise Failed(f"{self.room}: {wire.ElementTree.tostring(element)}")
            if element.tag == wire.CLIENT + "message":
                body = element.findtext(wire.CLIENT + "body")
                subject = element.findtext(wire.CLIENT + "subject")
                if body is not None:
                    history.append(int(body))
        return history, subject

    async def ask(self, identity, kind, payload, to=None):
        self.wire.send(f"<iq type='{kind}' id='{identity}' to='{to or self.room}'>{payload}</iq>")
        while True:
            element = await self.wire.next()
            if element.tag == wire.CLIENT + "iq" and element.get("id") == identity:
                return element

    async def work(self, server, numbers):
        """Until the server is gone."""
        try:
            await self.enter(server)
            await self.wire.manage()
            sent, handled, self.heard = [], 0, 0
            for number in numbers:
                payload = {
                    "name": configuration(number),
                    "member": f"<query xmlns='{MUC}#admin'><item affiliation='member' jid='m{number}@{DOMAIN}'/></query>",
                }
                for what, query in payload.items():
                    self.wire.send(f"<iq type='set' id='{what}-{number}' to='{self.room}'>{query}</iq>")
                    sent.append(None)
                for talk in range(8):
                    value = number * 10 + talk
                    self.wire.send(f"<message type='groupchat' to='{self.room}'><body>{value}</body></message>")
                    sent.append((self.said, value))
                self.wire.send(f"<message type='groupchat' to='{self.room}'><subject>{number}</subject></message>"
                               "<r xmlns='urn:xmpp:sm:3'/>")
                sent.append((self.subjects, number))
                grave = f"grave-{number}-{self.user}@{ROOMS}"
                if number % 5 == 0:
                    self.wire.send(f"<presence to='{grave}/keeper'><x xmlns='{MUC}'/></presence>"
                                   f"<iq type='set' id='make' to='{grave}'>{configuration(number)}</iq>"
                                   f"<iq type='set' id='destroy-{grave}' to='{grave}'><query xmlns='{MUC}#owner'>"
                                   f"<destroy jid='{self.room}'/></query></iq>")
                    sent += [None] * 3
                while len(sent) - handled > WINDOW:
                    handled = self.note(await self.wire.next(), sent, handled)
        except wire.Closed:
            return

    def note(self, element, sent, handled):
        if element.tag == wire.MANAGEMENT + "r":
            # Who never acknowledges is sent away in the end.
            self.wire.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.heard}'/>")
            return handled
        self.heard += element.tag.startswith(wire.CLIENT)
        if element.tag == wire.MANAGEMENT + "a":
            acknowledged = int(element.get("h"))
            for confirmed in filter(None, sent[handled:acknowledged]):
                confirmed[0].append(confirmed[1])
                self.confirmed += 1
            return acknowledged
        if element.get("type") == "error":
            raise Failed(f"{self.room}: {wire.ElementTree.tostring(element)}")
        what, _, which = (element.get("id") or "").partition("-")
        self.confirmed += element.get("type") == "result" and what in ("name", "member", "destroy")
        if element.get("type") == "result" and what == "name":
            self.name = int(which)
        elif element.get("type") == "result" and what == "member":
            self.members.add(f"m{which}@{DOMAIN}")
        elif element.get("type") == "result" and what == "destroy":
            self.destroyed[which] = False
        return handled

    async def look(self, server):
        """What is missing after the start."""
        history, subject = await self.enter(server)
        newest = history[-1] if history else -1
        place = {value: index for index, value in enumerate(history)}
        floor = history[0] if len(history) == HISTORY else -1
        lost = [value for value in self.said if value >= floor and value not in place]
        faults = [f"{self.room} lost messages {lost[:3]}"] if lost else []
        if history != sorted(set(history)):
            faults.append(f"{self.room} has its history twice or in another order")
        if int(subject or -1) < self.subjects[-1]:
            faults.append(f"{self.room} has the subject {subject}, and {self.subjects[-1]} was acknowledged")
        form = await self.ask("form", "get", f"<query xmlns='{MUC}#owner'/>")
        values = {field.get("var"): field.findtext("{jabber:x:data}value") for field in form.iter("{jabber:x:data}field")}
        if int(values["muc#roomconfig_roomname"] or -1) < self.name:
            faults.append(f"{self.room} is called {values['muc#roomconfig_roomname']}, and {self.name} was confirmed")
        listed = await self.ask("members", "get", f"<query xmlns='{MUC}#admin'><item affiliation='member'/></query>")
        missing = self.members - {item.get("jid") for item in listed.iter(f"{{{MUC}#admin}}item")}
        faults += [f"{self.room} lost members {sorted(missing)[:3]}"] if missing else []
        for grave in [grave for grave, seen in self.destroyed.items() if not seen]:
            answer = await self.ask("gone", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", grave)
            gone = answer.find(f".//{STANZAS}gone")
            self.destroyed[grave] = True
            if gone is None or gone.text != f"xmpp:{self.room}?join":
                faults.append(f"{grave} was destroyed, and is not gone")
        self.wire.send("</stream:stream>")
        self.said = [value for value in self.said if value > newest - 2 * HISTORY]
        return faults


def configuration(number):
    return (f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
            f"<field var='muc#roomconfig_persistentroom'><value>1</value></field>"
            f"<field var='muc#roomconfig_roomname'><value>{number}</value></field></x></query>")


async def one_round(server, keepers, numbers, seconds):
    """From the first confirmation on the server lives for so long, and until then no connection may end."""
    before = sum(len(keeper.members) for keeper in keepers)
    confirmed = {keeper: keeper.confirmed for keeper in keepers}
    works = [asyncio.create_task(keeper.work(server, numbers)) for keeper in keepers]
    deadline = time.monotonic() + FIRST_SECONDS
    while any(keeper.confirmed == confirmed[keeper] for keeper in keepers) and time.monotonic() < deadline:
        await asyncio.wait(works, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
        if any(work.done() for work in works):
            break
    done, _ = await asyncio.wait(works, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    died = server.process.poll()
    server.kill()
    # A login that was under way at the kill is not what this test is about.
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, Exception) and not isinstance(result, (OSError, wire.Closed)):
            raise result
    if died is not None:
        raise Failed(f"the server ended by itself ({died}):\n{server.tail()}")
    if done:
        raise Failed(f"{len(done)} connections ended before the server was killed:\n{server.tail()}")
    idle = [keeper.room for keeper in keepers if keeper.confirmed == confirmed[keeper]]
    if idle:
        raise Failed(f"nothing was confirmed for {idle} in {FIRST_SECONDS} s:\n{server.tail()}")
    server.start()
    faults = [fault for keeper in keepers for fault in await keeper.look(server)]
    print(f"killed after {seconds:.2f} s: {sum(len(keeper.members) for keeper in keepers) - before} members and "
          f"{max(keeper.name for keeper in keepers)} the last name confirmed, "
          f"{max(value for keeper in keepers for value in [-1, *keeper.said])} the last message acknowledged, "
          f"{sum(len(keeper.destroyed) for keeper in keepers)} rooms destroyed; faults: {len(faults)}", flush=True)
    return faults


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options.add_argument("--storage", help="database in place of SQLite in the data directory")
    options = options.parse_args()
    chance, numbers = random.Random(options.seed), itertools.count()
    print(f"seed {options.seed}", flush=True)
    passed = failed = 0
    with Server(require_tls=False, storage=options.storage) as server:
        keepers = [Keeper(index) for index in range(COUNT)]
        for keeper in keepers:
            server.account(keeper.user, "secret")
        for _ in range(options.rounds):
            faults = asyncio.run(one_round(server, keepers, numbers, chance.uniform(0.3, 3.0)))
            passed, failed = passed + (not faults), failed + bool(faults)
            for fault in faults:
                print(f"LOST: {fault}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
