#!/usr/bin/env python3
"""SIGTERM and start under many sessions: whoever was promised to resume can, and gets what was not acknowledged. Then
`balcony drain --final`, which ends them all.

Some of them are in a room: whoever enters it afterwards finds them there, and they hear what is said.

    restart.py [--sessions 200] [--storage URL] [--drain]
"""

import argparse
import asyncio
import sys
import time

import wire
from servers import DOMAIN, ROOMS, Balcony, Failed

PER_ACCOUNT = 10
AT_ONCE = 20
LEAST = 0.99
# What takes longer than this is broken, however busy the machine is.
PATIENCE = 60
GUESTS = 12
ROOM = f"hall@{ROOMS}"
MUC = "http://jabber.org/protocol/muc"


class Session:
    """One resource, which has got one message and not said so."""

    def __init__(self, number):
        self.user, self.resource = f"user{number // PER_ACCOUNT}", f"r{number % PER_ACCOUNT}"
        self.resumed, self.again, self.finished, self.greeted = False, False, False, False
        self.nick = f"{self.user} {self.resource}" if number < GUESTS else None

    async def begin(self, server):
        self.wire = await (await wire.Wire.connect(server)).login(self.user, "secret")
        await self.wire.bind(self.resource)
        self.wire.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>")
        self.id = (await self.wire.next()).get("id")
        if not self.id:
            raise Failed("resumption was not promised")
        if self.nick:
            self.wire.send(f"<presence to='{ROOM}/{self.nick}'><x xmlns='{MUC}'/></presence>")
            await self.is_in()
        self.wire.send(wire.message(f"{self.user}@{DOMAIN}/{self.resource}", f"m-{self.resource}", "Stay but a little"))
        while (await self.wire.next()).get("id") != f"m-{self.resource}":
            pass

    async def is_in(self):
        """Reads until the room has told its subject, which comes last; gives who is there."""
        nicks = set()
        while True:
            element = await self.wire.next()
            if element.get("type") == "error":
                raise Failed(wire.ElementTree.tostring(element))
            if element.tag == wire.CLIENT + "presence":
                nicks.add(element.get("from").partition("/")[2])
            if element.find(wire.CLIENT + "subject") is not None:
                return nicks

    async def is_greeted(self):
        while not self.greeted:
            element = await asyncio.wait_for(self.wire.next(), PATIENCE)
            self.greeted = element.findtext(wire.CLIENT + "body") == "Welcome back"

    async def end(self):
        """Reads until the server closes, which it must do without closing the stream."""
        try:
            while True:
                await self.wire.next()
        except wire.Closed as closed:
            self.ending = str(closed)
            self.wire.writer.close()

    async def finish(self):
        """Reads until the server ends the stream, and says why."""
        try:
            while True:
                await self.wire.next()
        except wire.Closed as closed:
            self.finished = str(closed) == "system-shutdown"
            self.wire.writer.close()

    async def resume(self, server):
        try:
            self.wire = await (await wire.Wire.connect(server)).login(self.user, "secret")
            self.wire.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{self.id}'/>")
            answer = await asyncio.wait_for(self.wire.next(), PATIENCE)
            self.resumed = answer.tag == wire.MANAGEMENT + "resumed"
            while self.resumed and not self.again:
                element = await asyncio.wait_for(self.wire.next(), PATIENCE)
                self.again = element.get("id") == f"m-{self.resource}"
        except (wire.Closed, wire.Refused, OSError, asyncio.TimeoutError):
            return


async def gently(works):
    """A few at a time, as fast as they go."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(work):
        async with room:
            await work

    await asyncio.gather(*map(one, works))


def drain(server, *how):
    server.run(server.binary, "drain", "--config", "balcony.toml", *how)
    server.ended()


async def greet(server, guests, nicks):
    """Somebody enters the room of before and greets everybody there. What is not as before."""
    late = Session(0)
    late.wire = await (await wire.Wire.connect(server)).login(late.user, "secret")
    await late.wire.bind("late")
    late.wire.send(f"<presence to='{ROOM}/late'><x xmlns='{MUC}'/></presence>")
    found = await late.is_in() - {"late"}
    late.wire.send(f"<message type='groupchat' to='{ROOM}'><body>Welcome back</body></message>")
    await asyncio.gather(*(guest.is_greeted() for guest in guests))
    late.wire.send("</stream:stream>")
    await late.end()
    missing = nicks ^ found
    return [f"{ROOM} is not as before: {sorted(missing)}"] if missing else []


async def play(server, sessions, stop):
    # Whoever enters first makes the room.
    guests = [session for session in sessions if session.nick]
    await guests[0].begin(server)
    guests[0].wire.send(f"<iq type='set' id='open' to='{ROOM}'><query xmlns='{MUC}#owner'>"
                        "<x xmlns='jabber:x:data' type='submit'/></query></iq>")
    while (await guests[0].wire.next()).get("id") != "open":
        pass
    await gently(session.begin(server) for session in sessions[1:])
    ends = [asyncio.create_task(session.end()) for session in sessions]
    began = time.monotonic()
    await asyncio.to_thread(stop, server)
    stopped = time.monotonic()
    await asyncio.gather(*ends)
    await asyncio.to_thread(server.start)
    started = time.monotonic()
    await gently(session.resume(server) for session in sessions)
    resumed = sum(session.resumed for session in sessions)
    again = sum(session.again for session in sessions)
    unfinished = sum(session.ending == "end of file" for session in sessions)
    back = [guest for guest in guests if guest.resumed]
    faults = [f"{guest.nick} did not come back" for guest in guests if not guest.resumed]
    faults += await greet(server, back, {guest.nick for guest in guests})
    print(f"{len(guests)} in a room, {sum(guest.greeted for guest in guests)} heard what was said there; "
          f"{'; '.join(faults) or 'all are there'}")
    if faults:
        return False
    print(f"{len(sessions)} sessions: {unfinished} left unfinished in {stopped - began:.1f} s, "
          f"server back after {started - stopped:.1f} s, {resumed} resumed, {again} got their message again, "
          f"in {time.monotonic() - started:.1f} s", flush=True)
    present = [session for session in sessions if session.resumed]
    ends = [asyncio.create_task(session.finish()) for session in present]
    began = time.monotonic()
    await asyncio.to_thread(drain, server, "--final")
    stopped = time.monotonic()
    await asyncio.gather(*ends)
    finished = sum(session.finished for session in present)
    print(f"{finished} of {len(present)} told that this was the end, in {stopped - began:.1f} s")
    return min(resumed, again, unfinished, finished) >= LEAST * len(sessions)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sessions", type=int, default=200)
    arguments.add_argument("--storage")
    arguments.add_argument("--drain", action="store_true", help="`balcony drain` in place of SIGTERM")
    options = arguments.parse_args()
    sessions = [Session(number) for number in range(options.sessions)]
    with Balcony(require_tls=False, storage=options.storage) as server:
        for user in sorted({session.user for session in sessions}):
            server.account(user, "secret")
        if not asyncio.run(play(server, sessions, drain if options.drain else Balcony.stop)):
            raise Failed(f"too few came back; the log ends so:\n{server.tail()}")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        print("0 passed, 1 failed")
        sys.exit(str(failed))
