"""Stands between two servers on loopback and breaks what passes: resets, silence, slowness."""

import asyncio


class Relay:
    """Takes connections at `address` and carries them to `target`."""

    def __init__(self, address, target):
        self.address, self.target = address, target
        self.pairs, self.tasks, self.forgotten = [], set(), set()
        self.flows = asyncio.Event()
        self.flows.set()

    async def start(self):
        self.server = await asyncio.start_server(self.accepted, *self.address)
        return self

    async def stop(self):
        self.server.close()
        self.reset()
        for task in self.tasks:
            task.cancel()

    async def refuse(self):
        """Every connection ends, and there are no new ones until it is started again."""
        self.server.close()
        self.reset()

    def reset(self):
        """Every connection ends at once, as if its machine had lost its memory."""
        for writer in self.pairs:
            writer.transport.abort()
        self.pairs.clear()

    def forget(self):
        """The target loses its ends of all connections; ours learn of it by what they write next: half-open."""
        for near, far in zip(self.pairs[::2], self.pairs[1::2]):
            self.forgotten.add(near)
            far.transport.abort()
        self.pairs.clear()

    def swallow(self):
        """Nothing passes any more, and nobody is told: a cable is cut."""
        self.flows.clear()

    def carry(self):
        self.flows.set()

    async def accepted(self, reader, writer):
        try:
            target_reader, target_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self.pairs += [writer, target_writer]
        for way in (self.copy(reader, target_writer, writer), self.copy(target_reader, writer, writer)):
            task = asyncio.ensure_future(way)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def copy(self, reader, writer, near):
        try:
            while data := await reader.read(65536):
                await self.flows.wait()
                if near in self.forgotten:
                    return near.transport.abort()
                writer.write(data)
                await writer.drain()
            if near not in self.forgotten:
                writer.close()
        except (ConnectionError, RuntimeError):
            if near not in self.forgotten:
                writer.transport.abort()
