"""A client over WebSocket (RFC 7395), made of the standard library: whole elements as text, over TLS."""

import base64
import os
import socket
import ssl
import struct

from servers import DOMAIN

PATIENCE = 60
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Session:
    def __init__(self, server, port=None, address="127.0.0.1"):
        trust = ssl.create_default_context(cafile=server.certificate)
        wire = socket.create_connection(("127.0.0.1", port or server.https_port), PATIENCE, (address, 0))
        self.wire = trust.wrap_socket(wire, server_hostname=DOMAIN)
        self.read = self.wire.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.wire.sendall(
            f"GET /xmpp-websocket HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.status = int(self.read.readline().split()[1])
        self.headers = dict(iter(lambda: self.read.readline().decode().strip().lower().partition(": ")[::2], ("", "")))

    @classmethod
    def login(cls, server, user, password, port=None, address="127.0.0.1"):
        self = cls(server, port, address)
        assert self.status == 101, self.status
        assert self.headers["sec-websocket-protocol"] == "xmpp", self.headers
        self.open()
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")
        self.hear("<success")
        self.open()
        self.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.hear("<jid>")
        return self

    def open(self):
        self.send(f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>")
        return self.hear("<stream:features")

    def send(self, text):
        self.frame(TEXT, text.encode())

    def frame(self, kind, octets):
        mask = os.urandom(4)
        assert len(octets) < 1 << 16
        length = bytes([0x80 | len(octets)]) if len(octets) < 126 else struct.pack(">BH", 0x80 | 126, len(octets))
        masked = bytes(octet ^ mask[place % 4] for place, octet in enumerate(octets))
        self.wire.sendall(bytes([0x80 | kind]) + length + mask + masked)

    def next(self):
        """The next frame that is not about the connection itself: its kind and what is in it."""
        while True:
            kind, length = self.read.read(2)
            if length == 126:
                length, = struct.unpack(">H", self.read.read(2))
            octets = self.read.read(length)
            if kind & 15 == PING:
                self.frame(PONG, octets)
            elif kind & 15 != PONG:
                return kind & 15, octets

    def hear(self, words):
        """The first message with these words in it."""
        while True:
            kind, octets = self.next()
            assert kind == TEXT, f"{words} did not come, but the end"
            if words in octets.decode():
                return octets.decode()

    def close(self):
        """The stream, then the WebSocket, from both sides (RFC 7395 §3.6)."""
        self.send(f"<close xmlns='{FRAMING}'/>")
        self.hear("<close")
        kind, octets = self.next()
        assert kind == CLOSE, octets
        self.frame(CLOSE, octets)
        assert self.read.read() == b""
        self.wire.close()
