"""A slixmpp client that a test can ask what it heard."""

import asyncio
import itertools
import ssl
import xml.etree.ElementTree as ElementTree

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from servers import DOMAIN

PATIENCE = 20
PLUGINS = ["xep_0030", "xep_0049", "xep_0054", "xep_0077", "xep_0092", "xep_0191", "xep_0199", "xep_0203"]
COUNTER = itertools.count()


class LoginFailed(Exception):
    """The server refused; the argument holds what it said, mechanism by mechanism."""


class Client(ClientXMPP):
    """One client. It answers nothing by itself that a person would decide: subscriptions wait for the test."""

    def __init__(self, server, user, password="secret", resource="balcony", *, tls="starttls", mechanism=None,
                 management=False, highest_tls=None, register=False, port=None):
        jid = f"{user}@{DOMAIN}" + (f"/{resource}" if resource else "")
        super().__init__(jid, password, sasl_mech=mechanism)
        self.at, self.through = server, port
        self.use_aiodns = False
        self.auto_authorize, self.auto_subscribe = None, False
        self.enable_starttls, self.enable_direct_tls = tls == "starttls", tls == "direct"
        self.enable_plaintext = tls == "none"
        self.ca_certs = server.certificate
        if highest_tls == "1.2":
            self.ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.whitespace_keepalive = False
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.management = management
        if management:
            self.register_plugin("xep_0198")
        self.plugin["feature_mechanisms"].unencrypted_plain = tls == "none"
        self.heard, self.news, self.refusals = [], asyncio.Event(), []
        self.stream_error = None
        self.over = asyncio.Event()
        for kind in ("message", "presence"):
            self.register_handler(Callback(f"Hear {kind}", MatchXPath(f"{{jabber:client}}{kind}"), self._hear))
        self.register_handler(Callback("Hear roster pushes", MatchXPath("{jabber:client}iq/{jabber:iq:roster}query"),
                                       self._hear_push))
        self.register_handler(Callback("Hear block pushes", MatchXPath("{jabber:client}iq/{urn:xmpp:blocking}block"),
                                       self._hear_push))
        self.add_event_handler("failed_auth", lambda failure: self.refusals.append(failure["condition"]))
        self.add_event_handler("stream_error", self._on_stream_error)
        self.add_event_handler("disconnected", lambda _: self.over.set())
        self.registration_refused = None
        if register:
            self.add_event_handler("register", self._register)
        self.used_mechanism = None
        self.add_event_handler("auth_success",
                               lambda _: setattr(self, "used_mechanism", self.plugin["feature_mechanisms"].mech.name))

    def _hear(self, stanza):
        self.heard.append(stanza)
        self.news.set()

    def _hear_push(self, iq):
        if iq["type"] == "set":
            self._hear(iq)

    def _on_stream_error(self, error):
        self.stream_error = error["condition"]

    async def _register(self, _form):
        """XEP-0077 §3.1, where the server offers it before login."""
        iq = self.make_iq_set()
        iq["register"]["username"], iq["register"]["password"] = self.boundjid.user, self.password
        try:
            await iq.send(timeout=PATIENCE)
        except IqError as error:
            self.registration_refused = error
            self.disconnect()

    async def login(self, *, available=True):
        """Up to the bound resource; then, as clients do, the roster and initial presence."""
        started = asyncio.ensure_future(self.wait_until("session_start", PATIENCE))
        ended = asyncio.ensure_future(self.over.wait())
        self.dial()
        done, waiting = await asyncio.wait({started, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        for task in waiting:
            task.cancel()
        if started not in done:
            self.abort()
            if self.registration_refused:
                raise self.registration_refused
            raise LoginFailed(self.refusals or [self.stream_error or "nothing came"])
        started.result()
        self.over.clear()
        if self.management:
            await self.wait_until("stream_negotiated", PATIENCE)
        if available:
            await self.get_roster()
            self.send_presence()
            await self.settled()
        return self

    def dial(self):
        self.connect("127.0.0.1", self.through or (self.at.tls_port if self.enable_direct_tls else self.at.port))

    async def come_back(self, event="session_resumed"):
        """Connects anew; slixmpp resumes by itself if it can, and binds anew if not."""
        back = asyncio.ensure_future(self.wait_until(event, PATIENCE))
        self.dial()
        await back
        self.over.clear()

    async def logout(self):
        self.disconnect()
        await asyncio.wait_for(self.over.wait(), PATIENCE)

    def chat(self, to, body, kind="chat"):
        self.make_message(mto=str(to), mbody=body, mtype=kind).send()

    async def hears(self, what, seconds=PATIENCE):
        """The first stanza, heard already or soon, for which `what` holds; it is taken from the list."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            for stanza in self.heard:
                if what(stanza):
                    self.heard.remove(stanza)
                    return stanza
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), deadline - asyncio.get_running_loop().time())
            except TimeoutError:
                raise AssertionError(f"{self.boundjid} did not hear it; heard: {[*map(str, self.heard)]}") from None

    async def hears_body(self, body):
        return await self.hears(lambda s: s.name == "message" and s["body"] == body)

    async def hears_presence(self, kind, of, show=None):
        """`of`: a bare JID or a full one. `kind` is the type, or `available`."""
        def fits(s):
            return (s.name == "presence" and (s.xml.get("type") or "available") == kind
                    and str(of) in (s["from"].bare, s["from"].full)
                    and (show is None or s.xml.findtext("{jabber:client}show") == show))
        return await self.hears(fits)

    async def hears_roster_push(self, contact, **attributes):
        """A push whose item for the contact has these attributes; returns the item."""
        def item(s):
            if s.name != "iq":
                return None
            found = s.xml.find(f"{{jabber:iq:roster}}query/{{jabber:iq:roster}}item[@jid='{contact}']")
            fits = found is not None and all(found.get(name) == value for name, value in attributes.items())
            return found if fits else None
        return item(await self.hears(lambda s: item(s) is not None))

    def heard_any(self, what):
        return any(what(stanza) for stanza in self.heard)

    async def settled(self):
        """The server has dealt with all that this client sent so far, and the client has read the consequences."""
        await self.plugin["xep_0199"].send_ping(DOMAIN)

    async def ask(self, kind, payload, to=None, seconds=PATIENCE):
        """An IQ with any payload, as XML text; the answer's payload, or IqError."""
        iq = self.make_iq(id=f"ask{next(COUNTER)}", ito=to)
        iq["type"] = kind
        iq.append(ElementTree.fromstring(payload))
        answer = await iq.send(timeout=seconds)
        return answer.xml[0] if len(answer.xml) else None

    async def refused(self, kind, payload, to=None):
        """The condition with which the server refuses the IQ."""
        try:
            answer = await self.ask(kind, payload, to)
        except IqError as error:
            return error.condition
        raise AssertionError(f"not refused: {answer!r}")


async def settled(*clients):
    """Each client's stanzas have been dealt with, in this order; what the earlier ones sent has reached the later."""
    for client in clients:
        await client.settled()
