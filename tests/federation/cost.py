#!/usr/bin/env python3
"""What a chat message between two servers costs in processor time, on two servers of each kind, in turns in one run.

    tests/federation/cost.py                            Balcony and Prosody, three rounds of ten seconds
    tests/federation/cost.py --rounds 1 --seconds 2     a short try
    BALCONY=target/release/balcony tests/federation/cost.py

Pairs of sessions, one on each server, with a few messages in flight each, over TLS between the servers. The figure is the
processor time of both servers' processes, from /proc, by the messages that arrived: each crosses both. It includes the
clients' connections, which are plain TCP. Build with --release for figures that mean anything; run it on a quiet machine.
"""

import argparse
import asyncio
import os
import pathlib
import shutil
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers import Balcony, Lab, Prosody  # noqa: E402
from wire import Client  # noqa: E402

HERE, THERE = "montague.lit", "capulet.lit"
TICKS = os.sysconf("SC_CLK_TCK")
LIMITS = 's2s_stanzas = "off"'


def cpu_seconds(server):
    """Of all processes that the start of the server began."""
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == server.process.pid:
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Pair:
    """Romeo writes, Juliet reads; a message follows for each that arrived."""

    def __init__(self, number):
        self.number, self.arrived = number, 0

    async def enter(self, here, there):
        self.romeo = await Client("romeo", HERE, here.c2s, f"r{self.number}").login()
        self.juliet = await Client("juliet", THERE, there.c2s, f"r{self.number}").login()
        for client in (self.romeo, self.juliet):
            client.listening.cancel()
        self.message = (f"<message to='{self.juliet.jid}' type='chat' id='m'><body>"
                        "But, soft! what light through yonder window breaks?</body></message>").encode()
        return self

    async def talk(self, inflight):
        self.tasks = [asyncio.ensure_future(self.swallow()), asyncio.ensure_future(self.read())]
        self.romeo.writer.write(self.message * inflight)

    async def swallow(self):
        while await self.romeo.reader.read(65536):
            pass

    async def read(self):
        rest = b""
        while data := await self.juliet.reader.read(65536):
            data = rest + data
            came = data.count(b"</message>")
            rest = data[-9:] if not data.endswith(b"</message>") else b""
            self.arrived += came
            self.romeo.writer.write(self.message * came)

    def leave(self):
        for task in self.tasks:
            task.cancel()
        for client in (self.romeo, self.juliet):
            client.writer.close()


async def measure(kind, arguments):
    lab = Lab()
    try:
        settings = {"log": "warn" if kind is Prosody else "info", "limits": LIMITS}
        servers = [lab.server(kind, HERE, "127.0.7.11", **settings), lab.server(kind, THERE, "127.0.7.12", **settings)]
        lab.start()
        pairs = [await Pair(number).enter(*servers) for number in range(arguments.pairs)]
        for pair in pairs:
            await pair.talk(arguments.inflight)
        await asyncio.sleep(arguments.warm_up)
        before, cpu, started = sum(pair.arrived for pair in pairs), sum(map(cpu_seconds, servers)), time.monotonic()
        await asyncio.sleep(arguments.seconds)
        messages = sum(pair.arrived for pair in pairs) - before
        used, took = sum(map(cpu_seconds, servers)) - cpu, time.monotonic() - started
        for pair in pairs:
            pair.leave()
        if not messages:
            raise SystemExit(f"{kind.name}: no message arrived\n{servers[0].tail()}")
        return messages / took, used / messages * 1e6
    finally:
        lab.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--inflight", type=int, default=4)
    arguments = parser.parse_args()
    kinds = [Balcony] + ([Prosody] if shutil.which("prosody") else [])
    costs = {kind: [] for kind in kinds}
    for number in range(arguments.rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            rate, cost = asyncio.run(measure(kind, arguments))
            costs[kind].append(cost)
            print(f"round {number + 1}: {kind.version()}: {rate:.0f} messages/s, {cost:.1f} µs of both servers each", flush=True)
    for kind in kinds:
        print(f"{kind.version()}: {statistics.median(costs[kind]):.1f} µs a message, median of {arguments.rounds}")
    if len(kinds) == 2:
        print(f"Balcony takes 1/{statistics.median(costs[Prosody]) / statistics.median(costs[Balcony]):.1f} of Prosody's time")


if __name__ == "__main__":
    main()
