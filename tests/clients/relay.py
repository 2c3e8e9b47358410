"""A network that a test can take away: connections to one port go on to another, until they are cut."""

import asyncio


class Relay:
    """Listens on a port of its own. While the network is away, whoever comes is turned away."""

    def __init__(self, target):
        self.target, self.server, self.pairs, self.near = target, None, set(), set()
        self.is_there, self.missed = True, asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.cut()
        self.server.close()

    def cut(self):
        """Nothing goes through any more."""
        self.is_there = False
        self.missed.clear()
        for writer in list(self.pairs):
            writer.transport.abort()

    def leave_half_open(self):
        """The clients lose their connections, and the server does not get to know."""
        for writer in list(self.near):
            writer.transport.abort()

    def restore(self):
        self.is_there = True

    async def _serve(self, reader, writer):
        if not self.is_there:
            self.missed.set()
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.pairs |= {writer, back}
        self.near.add(writer)
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            self.pairs -= {writer, back}
            self.near.discard(writer)

    @staticmethod
    async def _carry(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            # Broken, and the other side does not hear of it unless the network is cut there too.
            return
        writer.close()
