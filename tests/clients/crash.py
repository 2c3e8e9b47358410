#!/usr/bin/env python3
"""kill -9 under load: whatever the server acknowledged before must be there afterwards.

Senders with stream management note which messages the server has acknowledged; one client renames its contacts and
notes what it was told is stored. At a random moment the server is killed, in some rounds again while it hands out
what it kept. Then every recipient logs in: each acknowledged message must have come, before the kill or after it, or
have been returned to its sender; each contact must have its last acknowledged name or a later one. Twice is allowed,
missing is not.

    crash.py [--rounds 10] [--seed N] [--storage URL]
"""

import argparse
import asyncio
import collections
import itertools
import logging
import random
import sys
import time

import wire
from servers import DOMAIN, Failed, chosen

SENDERS = 4
WINDOW = 200
BATCH = 10
QUIET_SECONDS = 60
CONTACTS = 50


class Recipient:
    """One account that messages are sent to, and what it has received so far, over all its connections."""

    def __init__(self, user):
        self.user, self.received, self.body_octets = user, collections.Counter(), 20
        self.handled = self.resumed = 0

    async def read(self, wired, acknowledge=False):
        """Reads until the stream ends."""
        try:
            while True:
                element = await wired.next()
                if element.tag == wire.MANAGEMENT + "r":
                    if acknowledge:
                        wired.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.handled}'/>")
                    continue
                self.handled += 1
                if element.tag == wire.CLIENT + "message":
                    self.received[element.get("id")] += 1
        except wire.Closed:
            return

    async def open(self, server, management=False, resume=False, **options):
        wired = await (await wire.Wire.connect(server, **options)).login(self.user, "secret")
        await wired.bind("home")
        if management or resume:
            await wired.manage(resume)
        self.handled = 0
        wired.send("<presence/>")
        return wired


async def prompt(recipient, server, _over):
    await recipient.read(await recipient.open(server, management=True), acknowledge=True)


async def silent(recipient, server, _over):
    """Reads, and never acknowledges."""
    await recipient.read(await recipient.open(server, management=True))


async def simple(recipient, server, _over):
    """Without stream management."""
    await recipient.read(await recipient.open(server))


async def deaf(recipient, server, over):
    """Logs in and reads nothing more until the server is gone; what does not fit into sockets stays in the server."""
    wired = await recipient.open(server, management=True, receive_buffer=4096)
    recipient.body_octets = 4000
    wired.reader._transport.pause_reading()
    await over.wait()
    wired.reader._transport.resume_reading()
    await recipient.read(wired)


async def restless(recipient, server, over):
    """Comes, listens for a moment and breaks off, again and again."""
    while not over.is_set():
        wired = await recipient.open(server, management=True)
        reading = asyncio.create_task(recipient.read(wired, acknowledge=True))
        await asyncio.wait({reading}, timeout=0.1)
        wired.cut()
        await reading


async def paused(recipient, server, over):
    """Loses its connection at once, and may resume: what comes waits for a session without a client."""
    wired = await recipient.open(server, resume=True)
    wired.cut()
    await over.wait()


async def resuming(recipient, server, over):
    """Loses its connection again and again, and goes on with its session each time."""
    wired = await recipient.open(server, resume=True)
    while not over.is_set():
        reading = asyncio.create_task(recipient.read(wired, acknowledge=True))
        await asyncio.wait({reading}, timeout=0.1)
        wired.cut()
        await reading
        if over.is_set():
            return
        session = wired.session
        wired = await (await wire.Wire.connect(server)).login(recipient.user, "secret")
        if not await wired.resume(session, recipient.handled):
            raise Failed(f"{recipient.user} cannot resume though the server lives")
        recipient.resumed += 1


async def absent(_recipient, _server, _over):
    return


WAYS = [prompt, silent, simple, deaf, restless, absent, paused, resuming]


class Sender:
    def __init__(self, user, recipients):
        self.user, self.recipients = user, recipients
        self.sent, self.acknowledged, self.returned = [], 0, set()

    async def send(self, server, numbers):
        """Sends to all recipients in turn, at most WINDOW unacknowledged, until the server is gone."""
        wired = await (await wire.Wire.connect(server)).login(self.user, "secret")
        await wired.bind("home")
        await wired.manage()
        self.sent, self.acknowledged = [], 0
        try:
            while True:
                while len(self.sent) - self.acknowledged < WINDOW:
                    for _ in range(BATCH):
                        number = next(numbers)
                        recipient = self.recipients[number % len(self.recipients)]
                        identity = f"{self.user}-{number}"
                        self.sent.append((recipient, identity))
                        wired.send(wire.message(f"{recipient.user}@{DOMAIN}", identity, "k" * recipient.body_octets))
                    wired.send("<r xmlns='urn:xmpp:sm:3'/>")
                    await asyncio.sleep(0)
                element = await wired.next()
                if element.tag == wire.MANAGEMENT + "a":
                    self.acknowledged = int(element.get("h"))
                elif element.get("type") == "error":
                    self.returned.add(element.get("id"))
        except wire.Closed:
            return

    def promised(self):
        return self.sent[:self.acknowledged]


async def rename_contacts(server, names, numbers):
    """Gives a few contacts new names, ever greater numbers, and notes which the server said it has."""
    wired = await (await wire.Wire.connect(server)).login("keeper", "secret")
    await wired.bind("home")
    try:
        for number in numbers:
            contact = f"contact{number % CONTACTS}@example.org"
            wired.send(f"<iq type='set' id='c{number}'><query xmlns='jabber:iq:roster'>"
                       f"<item jid='{contact}' name='{number}'/></query></iq>")
            answer = await wired.next()
            while answer.get("id") != f"c{number}":
                answer = await wired.next()
            if answer.get("type") != "result":
                raise Failed(f"contact refused: {wire.ElementTree.tostring(answer)}")
            names[contact] = number
    except wire.Closed:
        return


async def names_kept(server):
    wired = await (await wire.Wire.connect(server)).login("keeper", "secret")
    await wired.bind("home")
    wired.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
    answer = await wired.next()
    wired.cut()
    return {item.get("jid"): int(item.get("name")) for item in answer.iter("{jabber:iq:roster}item")}


async def load_until_kill(server, senders, ways, names, numbers, seconds):
    over = asyncio.Event()
    tasks = [asyncio.create_task(way(recipient, server, over)) for recipient, way in ways]
    tasks += [asyncio.create_task(sender.send(server, numbers)) for sender in senders]
    tasks.append(asyncio.create_task(rename_contacts(server, names, numbers)))
    await asyncio.sleep(seconds)
    if server.process.poll() is not None:
        raise Failed(f"the server died by itself:\n{server.tail()}")
    server.process.kill()
    server.kill()
    over.set()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        # A login that was under way at the kill is not what this test is about.
        if isinstance(result, Exception) and not isinstance(result, (OSError, wire.Closed)):
            raise result


async def collect(server, recipients, missing, kill_after=None):
    """All recipients log in and read until nothing is missing, or nothing comes any more, or the next kill."""
    wires = [await recipient.open(server) for recipient in recipients]
    reading = [asyncio.create_task(recipient.read(wired)) for recipient, wired in zip(recipients, wires)]
    if kill_after is not None:
        await asyncio.sleep(kill_after)
        server.kill()
    else:
        last, since = None, time.monotonic()
        while missing() and time.monotonic() - since < QUIET_SECONDS:
            await asyncio.sleep(0.05)
            state = sum(recipient.received.total() for recipient in recipients)
            if state != last:
                last, since = state, time.monotonic()
        for wired in wires:
            wired.send("</stream:stream>")
    await asyncio.gather(*reading)


async def one_round(server, chance, numbers, recipients, names):
    ways = [(recipient, WAYS[index % len(WAYS)]) for index, recipient in enumerate(recipients)]
    # An acknowledgement covers all before it, so one recipient who does not answer holds back the rest: half of the
    # senders write to those only who let them go on.
    ready = [recipient for recipient, way in ways if way in (prompt, simple, restless, absent, paused, resuming)]
    senders = [Sender(f"sender{index}", (recipients, ready)[index % 2]) for index in range(SENDERS)]
    seconds = chance.uniform(0.1, 3.0)
    await load_until_kill(server, senders, ways, names, numbers, seconds)
    live = sum(recipient.received.total() for recipient in recipients)
    promised = [(recipient, identity, sender) for sender in senders for recipient, identity in sender.promised()]

    def missing():
        return [(identity, recipient.user) for recipient, identity, sender in promised
                if identity not in recipient.received and identity not in sender.returned]

    waiting = len(missing())
    kills = 1
    while chance.random() < 0.3:
        server.start()
        await collect(server, recipients, missing, kill_after=chance.uniform(0.0, 0.3))
        kills += 1
    server.start()
    await collect(server, recipients, missing)
    kept = await names_kept(server)
    lost_names = [contact for contact, number in names.items() if kept.get(contact, -1) < number]
    twice = sum(count - 1 for recipient in recipients for count in recipient.received.values())
    lost = missing()
    print(f"killed after {seconds:.2f} s, {kills} time{'s' * (kills > 1)}: "
          f"{sum(len(sender.sent) for sender in senders)} sent, {len(promised)} acknowledged, {live} received live, "
          f"{waiting} only afterwards, {sum(len(sender.returned) for sender in senders)} returned, {twice} twice, "
          f"{max(names.values(), default=0)} the last name, {sum(recipient.resumed for recipient in recipients)} resumed; missing: {len(lost)} messages, {len(lost_names)} names", flush=True)
    for recipient in recipients:
        recipient.received.clear()
        recipient.resumed = 0
    by_way = collections.Counter(way.__name__ for recipient, way in ways for _, user in lost if user == recipient.user)
    return len(promised), [f"{len(lost)} messages, by kind of recipient {dict(by_way)}, such as {lost[:3]}"] * bool(lost) + \
           [f"names of {lost_names[:3]}"] * bool(lost_names)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options.add_argument("--storage", help="database in place of SQLite in the data directory")
    options = options.parse_args()
    # Writing to a server that was killed is what this is about.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    chance, numbers, names = random.Random(options.seed), itertools.count(), {}
    print(f"seed {options.seed}", flush=True)
    passed, promised, lost = 0, 0, []
    with chosen()(require_tls=False, storage=options.storage) as server:
        recipients = [Recipient(f"recipient{index}") for index in range(len(WAYS))]
        for user in ["keeper", *(r.user for r in recipients), *(f"sender{index}" for index in range(SENDERS))]:
            server.account(user, "secret")
        for number in range(options.rounds):
            acknowledged, faults = asyncio.run(one_round(server, chance, numbers, recipients, names))
            promised += acknowledged
            passed += not faults
            lost += [f"LOST in round {number}: {fault}" for fault in faults]
    if not promised:
        passed, lost = 0, ["nothing was acknowledged in any round"]
    print(*lost, f"{passed} passed, {options.rounds - passed} failed", sep="\n")
    return passed < options.rounds


if __name__ == "__main__":
    sys.exit(main())
