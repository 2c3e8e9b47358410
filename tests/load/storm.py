#!/usr/bin/env python3
"""A domain is lost of which many know much: how long until everybody is told, and what it does to others meanwhile.

    tests/load/storm.py --balcony target/release/balcony --xload target/load-generator/release/xload

A component (XEP-0114) sends the presence of 1,000 full addresses of its domain to each of 100 users, whose clients ask for
annotations; then its connection breaks. Beside that 100 other pairs chat, 1,000 messages a second in all, before and
during the storm. `psa.s2s_grace` is one second here: what is measured begins when the domain counts as lost.
All on loopback.
"""

import argparse
import asyncio
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import servers

sys.path.insert(0, str(servers.ROOT / "tests/federation"))
from wire import Client  # noqa: E402

GATEWAY, SECRET, PORT = "gateway.localhost", "sesame", 19622
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='storm' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>"
DISCO = "http://jabber.org/protocol/disco#info"
QUESTION = re.compile(rb"<iq [^>]*type='get'[^>]*><query xmlns='" + DISCO.encode() + rb"'[^>]*>")


class Stormed(servers.Balcony):
    name = "storm"

    def configure(self):
        super().configure()
        (self.directory / "gateway.secret").write_text(SECRET)
        config = self.directory / "balcony.toml"
        text = config.read_text().replace("[components]\nlisten = []", f"""\
[components]
listen = ["127.0.0.1:{PORT}"]

[components.domains."{GATEWAY}"]
secret_file = "gateway.secret"

[psa]
s2s_grace = "1s"
cache_bytes = "1MiB"
""")
        config.write_text(text)


class Viewer(Client):
    """Counts what it hears instead of reading it: a hundred of them share one thread."""

    async def enter(self):
        await self.login()
        self.listening.cancel()
        self.heard_presences = self.annotations = 0
        self.last, self.rest, self.closed = 0.0, b"", False
        self.send(f"<presence>{CAPS}</presence>")
        self.counting = asyncio.ensure_future(self.count())
        return self

    async def count(self):
        while read := await self.reader.read(1 << 20):
            text = self.rest + read
            end = text.rfind(b">") + 1
            text, self.rest = text[:end], text[end:]
            self.heard_presences += text.count(b"<presence ")
            new = text.count(b"<server-unavailable/>")
            self.annotations += new
            if new:
                self.last = time.monotonic()
            for question in QUESTION.findall(text):
                of = lambda name: re.search(name + rb"='([^']*)'", question)[1].decode()
                node = re.search(rb"node='([^']*)'", question)
                node = f" node='{node[1].decode()}'" if node else ""
                self.send(f"<iq type='result' id='{of(b' id')}' to='{of(b' from')}'><query xmlns='{DISCO}'{node}>"
                          "<feature var='urn:xmpp:psa'/></query></iq>")
        self.closed = True


async def component():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{GATEWAY}'>".encode())
    head = b""
    while not (found := re.search(rb" id='([^']*)'", head)):
        head += await reader.read(4096)
    writer.write(f"<handshake>{hashlib.sha1(found[1] + SECRET.encode()).hexdigest()}</handshake>".encode())
    while b"<handshake" not in head:
        head += await reader.read(4096)
    return reader, writer


def chat(options, server, seconds):
    """Chat at a fixed rate, whatever comes back when; the latency is counted from the intended moment of sending."""
    command = [options.xload, "chat", "--first", "1000", "--users", "200", "--rate", "1000", "--port", str(server.port),
               "--sasl", "SCRAM-SHA-1", "--server-pid", str(server.process.pid), "--warmup", "2", "--windows", "1",
               "--secs", str(seconds)]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)


def result(process):
    out, _ = process.communicate()
    return json.loads(out.splitlines()[0])


async def storm(options, server):
    register = [options.xload, "register", "--port", str(server.port), "--users"]
    subprocess.run([*map(str, register), str(options.sessions)], check=True)
    subprocess.run([*map(str, register), "200", "--first", "1000"], check=True)
    viewers = [Viewer(f"user{n}", "localhost", ("127.0.0.1", server.port), password="pw") for n in range(options.sessions)]
    for viewer in viewers:
        await viewer.enter()
    reader, writer = await component()
    drained = asyncio.ensure_future(reader.read(-1))
    for viewer in viewers:
        for n in range(options.contacts):
            writer.write(f"<presence from='u{n}@{GATEWAY}/phone' to='{viewer.bare}'><show>away</show>"
                         f"<status>Wherefore art thou {n}?</status>{CAPS}</presence>".encode())
        await writer.drain()
    while any(viewer.heard_presences < options.contacts for viewer in viewers):
        await asyncio.sleep(0.1)
    calm = await asyncio.to_thread(lambda: result(chat(options, server, options.seconds)))
    talking = chat(options, server, options.seconds)
    # Who looks on is many clients in one process here, and gives way to the server and to those who chat.
    os.nice(19)
    await asyncio.sleep(4)
    broke = time.monotonic()
    writer.transport.abort()
    drained.cancel()
    wanted = options.sessions * options.contacts
    while sum(viewer.annotations for viewer in viewers) < wanted and time.monotonic() - broke < 60:
        await asyncio.sleep(0.05)
    stormy = await asyncio.to_thread(lambda: result(talking))
    told = sum(viewer.annotations for viewer in viewers)
    took = max(viewer.last for viewer in viewers) - broke - 1
    lost = sum(viewer.closed for viewer in viewers)
    print(f"{server.version()}: {told} of {wanted} annotations, the last {took:.1f} s after the domain counted as lost; "
          f"{lost} of {options.sessions} sessions lost")
    for name, figures in (("before", calm), ("during", stormy)):
        print(f"chat at 1,000 messages/s {name}: p50 {figures['p50_us'] / 1000:.2f} ms, p99 {figures['p99_us'] / 1000:.2f} ms")
    return told == wanted and not lost and took < 10


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--balcony", type=pathlib.Path, default=servers.ROOT / "target/release/balcony")
    options.add_argument("--xload", type=pathlib.Path, default=servers.ROOT / "target/load-generator/release/xload")
    options.add_argument("--sessions", type=int, default=100)
    options.add_argument("--contacts", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=12)
    options = options.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-storm-"))
    server = Stormed(directory, 19600, options.balcony.resolve())
    try:
        server.start()
        passed = asyncio.run(storm(options, server))
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{int(passed)} passed, {int(not passed)} failed")
    return not passed


if __name__ == "__main__":
    sys.exit(main())
