"""A client made of the standard library alone: SCRAM over plain TCP on loopback, stanzas as ElementTree elements."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import os
import time
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape, quoteattr

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
CLIENT = "{jabber:client}"
PATIENCE = 30
# What a client that asks for annotations (XEP-0310) says of itself, and its hash (XEP-0115): SHA-1 of "urn:xmpp:psa<".
ASKS = ("<query xmlns='http://jabber.org/protocol/disco#info'{node}><feature var='urn:xmpp:psa'/></query>")
CAPABILITIES = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='lab' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>"
COUNTER = itertools.count()


class Closed(Exception):
    """The stream is over."""


class Client:
    """One session. What it hears is kept until somebody asks for it."""

    def __init__(self, user, domain, address, resource="lab", password="secret", asks=False):
        self.user, self.domain, self.address = user, domain, address
        # Whether it asks for annotations.
        self.capabilities = CAPABILITIES if asks else ""
        self.resource, self.password = resource, password
        self.jid = self.bare = f"{user}@{domain}"
        self.heard, self.news = [], asyncio.Event()
        # Bodies of the messages that were written, by the identifiers by which they come back.
        self.sent = {}

    async def login(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        self._restart()
        await self._open()
        await self._scram()
        await self._open()
        self.send(f"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                  f"<resource>{self.resource}</resource></bind></iq>")
        bound = await self._next()
        self.jid = bound.findtext(".//{urn:ietf:params:xml:ns:xmpp-bind}jid")
        self.listening = asyncio.ensure_future(self._listen())
        self.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"
                  f"<presence>{self.capabilities}</presence>")
        await self.hears(lambda s: s.get("id") == "roster", "the roster")
        return self

    async def logout(self):
        self.listening.cancel()
        self.writer.close()

    def send(self, text):
        self.writer.write(text.encode())

    def chat(self, to, body):
        identity = f"m{next(COUNTER)}"
        self.sent[identity] = body
        self.send(f"<message to={quoteattr(to)} type='chat' id='{identity}'><body>{escape(body)}</body></message>")

    async def ask(self, to, payload, kind="get", seconds=PATIENCE):
        """The answer to an IQ, an error too."""
        identity = f"q{next(COUNTER)}"
        self.send(f"<iq to={quoteattr(to)} type='{kind}' id='{identity}'>{payload}</iq>")
        return await self.hears(lambda s: s.tag == CLIENT + "iq" and s.get("id") == identity
                                and s.get("type") in ("result", "error"), f"the answer of {to}", seconds)

    async def hears(self, what, name="it", seconds=PATIENCE):
        """The first stanza for which `what` holds; it is taken from what was heard."""
        deadline = time.monotonic() + seconds
        while True:
            for stanza in self.heard:
                if what(stanza):
                    self.heard.remove(stanza)
                    return stanza
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), max(0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                heard = [ElementTree.tostring(s, encoding="unicode")[:300] for s in self.heard]
                raise AssertionError(f"{self.jid} did not hear {name} within {seconds} s; heard: {heard}") from None

    async def until(self, holds, name="it", seconds=PATIENCE):
        """Waits for what depends on all that was heard, by others too; nothing is taken from that."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.jid} did not see {name} within {seconds} s")
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), 0.1)
            except asyncio.TimeoutError:
                # Somebody else may have heard something.
                pass

    def bodies(self):
        """Of the messages that were heard and not taken, errors left out."""
        return [s.findtext(CLIENT + "body") for s in self.heard if s.tag == CLIENT + "message" and s.get("type") != "error"]

    def returned(self):
        """Bodies of the messages that came back."""
        errors = [s for s in self.heard if s.tag == CLIENT + "message" and s.get("type") == "error"]
        return {self.sent.get(s.get("id")) for s in errors}

    async def hears_body(self, body, of=None, seconds=PATIENCE):
        return await self.hears(
            lambda s: s.tag == CLIENT + "message" and s.findtext(CLIENT + "body") == body and s.get("type") != "error"
            and (of is None or s.get("from", "").startswith(of)), f"{body!r}", seconds)

    async def hears_presence(self, kind, of, seconds=PATIENCE):
        return await self.hears(
            lambda s: s.tag == CLIENT + "presence" and s.get("type", "available") == kind
            and s.get("from", "").partition("/")[0] == of, f"presence {kind} of {of}", seconds)

    async def enter(self, room, nick):
        """Enters a room, which is made if there is none."""
        self.send(f"<presence to={quoteattr(f'{room}/{nick}')}><x xmlns='http://jabber.org/protocol/muc'/>"
                  f"{self.capabilities}</presence>")
        await self.hears(lambda s: s.tag == CLIENT + "message" and s.find(CLIENT + "subject") is not None
                         and s.get("from", "").startswith(room), f"the subject of {room}")

    def say(self, room, body):
        self.send(f"<message to={quoteattr(room)} type='groupchat' id='g{next(COUNTER)}'><body>{escape(body)}</body></message>")

    async def _listen(self):
        try:
            while True:
                stanza = await self._next()
                if stanza.tag == CLIENT + "iq" and stanza.get("type") == "get":
                    query = stanza.find("{http://jabber.org/protocol/disco#info}query")
                    node = query is not None and query.get("node")
                    told = ASKS.format(node=f" node={quoteattr(node)}" if node else "") if query is not None and self.capabilities else ""
                    self.send(f"<iq type='result' id={quoteattr(stanza.get('id'))} "
                              f"to={quoteattr(stanza.get('from', self.bare))}>{told}</iq>")
                self.heard.append(stanza)
                self.news.set()
        except (Closed, ConnectionError):
            self.writer.close()

    def _restart(self):
        self.parser = ElementTree.XMLPullParser(("start", "end"))
        self.depth, self.root = 0, None

    async def _next(self):
        while True:
            for event, element in self.parser.read_events():
                if event == "start":
                    self.depth += 1
                    self.root = element if self.depth == 1 else self.root
                    continue
                self.depth -= 1
                if self.depth == 0:
                    raise Closed("closed by the server")
                if self.depth == 1:
                    self.root.clear()
                    if element.tag == "{http://etherx.jabber.org/streams}error":
                        raise Closed(element[0].tag.rpartition("}")[2])
                    return element
            read = await self.reader.read(65536)
            if not read:
                raise Closed("end of file")
            self.parser.feed(read)

    async def _open(self):
        self._restart()
        self.send(f"<?xml version='1.0'?><stream:stream to='{self.domain}' version='1.0' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        return await self._next()

    async def _scram(self):
        """RFC 5802, SCRAM-SHA-1."""
        first = f"n={self.user},r={encode(os.urandom(18))}"
        self.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{encode(('n,,' + first).encode())}</auth>")
        challenge = base64.b64decode((await self._answer("challenge")).text).decode()
        nonce, salt, rounds = (part[2:] for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha1", self.password.encode(), base64.b64decode(salt), int(rounds))
        final = f"c={encode(b'n,,')},r={nonce}"
        key = hmac.digest(salted, b"Client Key", "sha1")
        signature = hmac.digest(hashlib.sha1(key).digest(), f"{first},{challenge},{final}".encode(), "sha1")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.send(f"<response xmlns='{SASL}'>{encode(f'{final},p={encode(proof)}'.encode())}</response>")
        await self._answer("success")

    async def _answer(self, name):
        element = await self._next()
        if element.tag != f"{{{SASL}}}{name}":
            raise AssertionError(f"login refused: {ElementTree.tostring(element)}")
        return element


class Component:
    """An external component (XEP-0114) that says back what people write to it."""

    def __init__(self, domain, address, secret):
        self.domain, self.address, self.secret = domain, address, secret

    async def enter(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        self.parser = ElementTree.XMLPullParser(("start", "end"))
        self.writer.write(f"<?xml version='1.0'?><stream:stream to='{self.domain}' xmlns='jabber:component:accept' "
                          "xmlns:stream='http://etherx.jabber.org/streams'>".encode())
        header = await self._next("start")
        proof = hashlib.sha1((header.get("id") + self.secret).encode()).hexdigest()
        self.writer.write(f"<handshake>{proof}</handshake>".encode())
        answer = await self._next("end")
        if not answer.tag.endswith("}handshake"):
            raise AssertionError(f"the component is refused: {ElementTree.tostring(answer)}")
        self.echoing = asyncio.ensure_future(self._echo())
        return self

    async def leave(self):
        """Ends the stream in order (RFC 6120 §4.4): when this is over, the server knows that it is gone."""
        self.echoing.cancel()
        self.writer.write(b"</stream:stream>")
        while await asyncio.wait_for(self.reader.read(65536), PATIENCE):
            pass
        self.writer.close()

    def drop(self):
        """Ends the connection, whatever is on its way."""
        self.echoing.cancel()
        self.writer.transport.abort()

    def chat(self, sender, to, body):
        self.writer.write(f"<message from={quoteattr(sender)} to={quoteattr(to)} type='chat'>"
                          f"<body>{escape(body)}</body></message>".encode())

    async def _echo(self):
        while True:
            stanza = await self._next("end")
            body = stanza.findtext("{jabber:component:accept}body")
            if stanza.tag.endswith("}message") and body and stanza.get("type") != "error":
                self.chat(stanza.get("to"), stanza.get("from"), f"echo {body}")

    async def _next(self, kind):
        """The header of the stream, or the next of its children."""
        while True:
            for event, element in self.parser.read_events():
                is_header = element.tag == "{http://etherx.jabber.org/streams}stream"
                self.depth = getattr(self, "depth", 0) + (1 if event == "start" else -1)
                if kind == event == "start" and is_header or kind == event == "end" and self.depth == 1:
                    return element
            read = await self.reader.read(65536)
            if not read:
                raise Closed("end of file")
            self.parser.feed(read)


def encode(octets):
    return base64.b64encode(octets).decode()
