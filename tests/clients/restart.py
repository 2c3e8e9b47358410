#!/usr/bin/env python3
"""SIGTERM and start under many sessions: whoever was promised to resume can, and gets what was not acknowledged. Then
`balcony drain --final`, which ends them all.

    restart.py [--sessions 200] [--storage URL] [--drain]
"""

import argparse
import asyncio
import sys
import time

import wire
from servers import DOMAIN, Balcony, Failed

PER_ACCOUNT = 10
AT_ONCE = 20
LEAST = 0.99


class Session:
    """One resource, which has got one message and not said so."""

    def __init__(self, number):
        self.user, self.resource = f"user{number // PER_ACCOUNT}", f"r{number % PER_ACCOUNT}"
        self.resumed, self.again, self.finished = False, False, False

    async def begin(self, server):
        self.wire = await (await wire.Wire.connect(server)).login(self.user, "secret")
        await self.wire.bind(self.resource)
        self.wire.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>")
        self.id = (await self.wire.next()).get("id")
        if not self.id:
            raise Failed("resumption was not promised")
        self.wire.send(wire.message(f"{self.user}@{DOMAIN}/{self.resource}", f"m-{self.resource}", "Stay but a little"))
        while (await self.wire.next()).tag != wire.CLIENT + "message":
            pass

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
            answer = await asyncio.wait_for(self.wire.next(), 20)
            self.resumed = answer.tag == wire.MANAGEMENT + "resumed"
            while self.resumed and not self.again:
                element = await asyncio.wait_for(self.wire.next(), 20)
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


async def play(server, sessions, stop):
    await gently(session.begin(server) for session in sessions)
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


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(str(failed))
