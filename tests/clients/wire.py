"""A client made of the standard library alone, for what a client library hides: exact acknowledgements, the moment of
a cut, SCRAM with channel binding. Plain TCP or direct TLS."""

import asyncio
import base64
import hashlib
import hmac
import os
import socket
import ssl
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

from servers import DOMAIN

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
MANAGEMENT = "{urn:xmpp:sm:3}"
CLIENT = "{jabber:client}"


class Closed(Exception):
    """The stream is over; the argument says how, as far as it was told."""


class Refused(Exception):
    """The login was refused; the argument is the condition."""


class Wire:
    """One stream. `next()` gives its elements one after the other, whole."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.restart()

    @classmethod
    async def connect(cls, server, tls=False, receive_buffer=None):
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(
            connection, ("127.0.0.1", server.tls_port if tls else server.port))
        security = {"ssl": ssl.create_default_context(cafile=server.certificate), "server_hostname": DOMAIN} if tls else {}
        return cls(*await asyncio.open_connection(sock=connection, **security))

    def restart(self):
        self.parser = ElementTree.XMLPullParser(("start", "end"))
        self.depth = 0
        self.root = None

    def send(self, text):
        self.writer.write(text.encode())

    async def next(self):
        """The next top-level element; Closed at the end of the stream, however it comes."""
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
            try:
                read = await self.reader.read(65536)
            except (ConnectionError, ssl.SSLError) as error:
                raise Closed(str(error)) from None
            if not read:
                raise Closed("end of file")
            self.parser.feed(read)

    async def open(self):
        """Stream header; gives the features."""
        self.restart()
        self.send(f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        return await self.next()

    async def login(self, user, password, mechanism="SCRAM-SHA-1"):
        features = await self.open()
        offered = [m.text for m in features.iter(f"{{{SASL}}}mechanism")]
        if mechanism not in offered:
            raise Refused(f"{mechanism} is not among {offered}")
        await self.scram(user, password, mechanism)
        await self.open()
        return self

    async def scram(self, user, password, mechanism):
        """RFC 5802, with tls-server-end-point for -PLUS."""
        digest = "sha256" if "256" in mechanism else "sha1"
        flag, binding = "n,,", b""
        if mechanism.endswith("-PLUS"):
            certificate = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            flag, binding = "p=tls-server-end-point,,", hashlib.sha256(certificate).digest()
        first = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}"
        self.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{encode((flag + first).encode())}</auth>")
        challenge = base64.b64decode((await self.answer("challenge")).text).decode()
        nonce, salt, rounds = (part[2:] for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(salt), int(rounds))
        final = f"c={encode(flag.encode() + binding)},r={nonce}"
        said = f"{first},{challenge},{final}".encode()
        key = hmac.digest(salted, b"Client Key", digest)
        signature = hmac.digest(hashlib.new(digest, key).digest(), said, digest)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.send(f"<response xmlns='{SASL}'>{encode(f'{final},p={encode(proof)}'.encode())}</response>")
        success = await self.answer("success")
        expected = hmac.digest(hmac.digest(salted, b"Server Key", digest), said, digest)
        if base64.b64decode(success.text) != b"v=" + base64.b64encode(expected):
            raise Refused("the server does not know the password")

    async def answer(self, name):
        element = await self.next()
        if element.tag != f"{{{SASL}}}{name}":
            raise Refused(element[0].tag.rpartition("}")[2] if len(element) else element.tag)
        return element

    async def bind(self, resource):
        self.send(f"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                  f"<resource>{resource}</resource></bind></iq>")
        bound = await self.next()
        self.jid = bound.findtext(".//{urn:ietf:params:xml:ns:xmpp-bind}jid")
        return self

    async def manage(self, resume=False):
        """Stream management on; the session can be resumed by `session` if that was asked for."""
        asked = " resume='true'" if resume else ""
        self.send(f"<enable xmlns='urn:xmpp:sm:3'{asked}/>")
        enabled = await self.next()
        assert enabled.tag == MANAGEMENT + "enabled", enabled.tag
        self.session = enabled.get("id")

    async def resume(self, session, handled):
        """Goes on with a session in place of binding a resource; false when it is over."""
        self.send(f"<resume xmlns='urn:xmpp:sm:3' h='{handled}' previd='{session}'/>")
        answer = await self.next()
        self.session = session
        return answer.tag == MANAGEMENT + "resumed"

    def cut(self):
        self.writer.transport.abort()


def encode(octets):
    return base64.b64encode(octets).decode()


def message(to, identity, body):
    return f"<message to={quoteattr(to)} type='chat' id='{identity}'><body>{body}</body></message>"
