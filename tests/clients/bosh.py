"""A client over BOSH (XEP-0124, XEP-0206), made of the standard library: one request at a time, over https."""

import base64
import http.client
import random
import socket
import ssl
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

from servers import DOMAIN

PATIENCE = 60
NAMES = "xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'"


class Ended(Exception):
    """The server has ended the session; the argument is the condition."""


class Session:
    """Requests that follow each other, and what came with their responses."""

    def __init__(self, server, port=None, address="127.0.0.1"):
        trust = ssl.create_default_context(cafile=server.certificate)
        self.connection = http.client.HTTPSConnection(
            DOMAIN, port or server.https_port, context=trust, timeout=PATIENCE, source_address=(address, 0))
        # The name is nobody's; it stands in the handshake and in the header, as the proxies want it.
        self.connection._create_connection = lambda to, *rest: socket.create_connection(("127.0.0.1", to[1]), *rest)
        self.rid, self.sid, self.heard = random.randrange(1 << 32), None, []

    @classmethod
    def login(cls, server, user, password, resource, port=None, address="127.0.0.1"):
        self = cls(server, port, address)
        # A short wait, since nobody else asks in the meantime.
        begun = self.request(to=DOMAIN, wait="1", hold="1", ver="1.6", **{"xmpp:version": "1.0", "xml:lang": "en"})
        self.sid = begun.get("sid")
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.request(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")
        self.hear_element("success")
        self.request(**{"xmpp:restart": "true", "to": DOMAIN})
        self.request("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                     f"<resource>{resource}</resource></bind></iq>")
        self.hear_element("iq")
        return self

    def request(self, payload="", **attributes):
        """One request; gives the whole response, whose payload is also noted."""
        self.post(payload, **attributes)
        answer = ElementTree.fromstring(self.connection.getresponse().read())
        if answer.get("type") == "terminate":
            raise Ended(answer.get("condition"))
        self.heard += answer
        return answer

    def post(self, payload="", **attributes):
        """One request, whose response is left where it is."""
        self.rid += 1
        sid = {"sid": self.sid} if self.sid else {}
        written = "".join(f" {name}={quoteattr(value)}" for name, value in {**sid, **attributes}.items())
        body = f"<body {NAMES} rid='{self.rid}'{written}>{payload}</body>"
        self.connection.request("POST", "/http-bind", body.encode(), {"Content-Type": "text/xml; charset=utf-8"})

    def hear_element(self, name):
        return self._hear(lambda element: element.tag.rpartition("}")[2] == name)

    def hear(self, words):
        """The first element with these words in it, which may have come already."""
        return self._hear(lambda element: words in "".join(element.itertext()))

    def _hear(self, what):
        while True:
            for element in self.heard:
                if what(element):
                    self.heard.remove(element)
                    return element
            self.request()

    def end(self):
        try:
            self.request(type="terminate")
        except Ended:
            pass
        self.connection.close()
