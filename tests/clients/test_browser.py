"""Converse.js in a browser, over WebSocket and over BOSH: a login, a chat, a network that goes and comes back."""

import asyncio
import http.client
import json
import socket
import ssl
import urllib.parse

import browser
from relay import Relay
from scenario import Scenario
from servers import DOMAIN, ROOMS, Nginx


class InTheBrowser(Scenario):
    people = ("romeo", "juliet")

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.address = self.enterContext(browser.site())
        self.browser = await self.enterAsyncContext(browser.Browser())

    async def converse(self, transport, url):
        """A page in which romeo has logged in."""
        asked = {"jid": self.user("romeo"), "password": "secret", "transport": transport,
                 "url": f"{url[0]}://127.0.0.1:{self.network.port}{url[1]}"}
        page = await self.browser.page(f"{self.address}?{urllib.parse.urlencode(asked)}")
        await page.until("window.events.includes('connected')")
        await page.until("api.connection.connected()")
        return page

    async def day(self, port, transport, *url):
        self.network = await self.enterAsyncContext(Relay(port))
        juliet = await self.client("juliet")
        page = await self.converse(transport, url)
        romeo = self.user("romeo")

        # Both ways.
        await page.chat(self.user("juliet"), "art thou there?")
        heard = await juliet.hears(lambda stanza: stanza["body"] == "art thou there?")
        self.assertEqual(heard["from"].bare, romeo)
        juliet.chat(romeo, "ay me")
        await page.shows("ay me")

        # The network goes, and he misses it; what was said meanwhile is there once it is back, and once only.
        self.network.cut()
        juliet.chat(romeo, "said to the night")
        await asyncio.wait_for(self.network.missed.wait(), browser.PATIENCE)
        self.network.restore()
        await page.shows("said to the night")
        await page.chat(self.user("juliet"), "I am back")
        await juliet.hears(lambda stanza: stanza["body"] == "I am back")
        self.assertEqual(await page.texts("ay me"), 1)
        self.assertEqual(await page.texts("said to the night"), 1)
        return await page.evaluate("window.events")

    async def test_rfc7395_over_websocket(self):
        events = await self.day(self.server.https_port, "websocket_url", "wss", "/xmpp-websocket")
        self.assertIn("reconnected", events)

    async def test_xep0124_over_bosh(self):
        # The session outlives its connections: what was lost on the way is asked for again.
        events = await self.day(self.server.https_port, "bosh_service_url", "https", "/http-bind")
        self.assertNotIn("will-reconnect", events)

    async def test_xep0045_in_a_room(self):
        """Romeo makes a room, Juliet comes in, they talk; his network goes and comes back; he leaves."""
        self.network = await self.enterAsyncContext(Relay(self.server.https_port))
        room = f"room{self.number}@{ROOMS}"
        page = await self.converse("websocket_url", ("wss", "/xmpp-websocket"))
        await page.enter(room, "romeo")
        juliet = await self.client("juliet")
        juliet.register_plugin("xep_0045")
        juliet.plugin["xep_0045"].join_muc(room, "juliet")
        await juliet.hears(lambda stanza: stanza.xml.find("{jabber:client}subject") is not None)
        self.assertEqual(set(juliet.plugin["xep_0045"].get_roster(room)), {"romeo", "juliet"})
        juliet.chat(room, "good even", "groupchat")
        await page.shows("good even")
        await page.say(room, "good even to thee")
        heard = await juliet.hears_body("good even to thee")
        self.assertEqual(str(heard["from"]), f"{room}/romeo")
        # What is said while he is away is there when he is back, and once only.
        self.network.cut()
        juliet.chat(room, "where art thou?", "groupchat")
        await asyncio.wait_for(self.network.missed.wait(), browser.PATIENCE)
        self.network.restore()
        await page.shows("where art thou?")
        await page.say(room, "here again")
        await juliet.hears_body("here again")
        self.assertEqual(await page.texts("where art thou?"), 1)
        self.assertEqual(await page.texts("good even"), 1)
        await page.leave(room)
        gone = await juliet.hears(
            lambda stanza: stanza.name == "presence" and stanza["type"] == "unavailable"
            and str(stanza["from"]) == f"{room}/romeo")
        self.assertEqual(gone["from"].bare, room)

    async def test_a_restart_of_the_server_is_a_moment_without_a_network(self):
        ways = (("websocket_url", "wss", "/xmpp-websocket"), ("bosh_service_url", "https", "/http-bind"))
        self.network = await self.enterAsyncContext(Relay(self.server.https_port))
        pages = [await self.converse(transport, url) for transport, *url in ways]
        juliet = await self.client("juliet")
        for page in pages:
            await page.chat(self.user("juliet"), "art thou there?")
            await juliet.hears_body("art thou there?")
        before = [await page.evaluate("api.connection.get().jid") for page in pages]
        await asyncio.to_thread(self.server.stop)
        await asyncio.to_thread(self.server.start)
        juliet = await self.client("juliet")
        # Over WebSocket Converse.js resumes (XEP-0198): what comes meanwhile waits. Over BOSH it does not ask for that, and
        # takes its resource anew.
        juliet.chat(before[0], f"for {before[0]}")
        await pages[1].until("window.events.includes('reconnected')")
        await pages[1].until("api.connection.connected()")
        juliet.chat(before[1], f"for {before[1]}")
        for page, jid in zip(pages, before):
            await page.shows(f"for {jid}")
            self.assertEqual(await page.evaluate("api.connection.get().jid"), jid)
            await page.chat(self.user("juliet"), f"from {jid}")
            heard = await juliet.hears_body(f"from {jid}")
            self.assertEqual(heard["from"], jid)
            self.assertEqual(await page.texts(f"for {jid}"), 1)

    async def test_xep0156_behind_nginx_where_host_meta_says(self):
        nginx = self.enterContext(Nginx(self.server))
        trust = ssl.create_default_context(cafile=self.server.certificate)
        connection = http.client.HTTPSConnection(DOMAIN, nginx.port, context=trust)
        connection.sock = trust.wrap_socket(
            socket.create_connection(("127.0.0.1", nginx.port)), server_hostname=DOMAIN)
        connection.request("GET", "/.well-known/host-meta.json")
        answer = connection.getresponse()
        links = {link["rel"].rsplit(":", 1)[1]: link["href"] for link in json.load(answer)["links"]}
        connection.close()
        self.assertEqual(links, {"websocket": f"wss://{DOMAIN}:{nginx.port}/xmpp-websocket",
                                 "xbosh": f"https://{DOMAIN}:{nginx.port}/http-bind"})
        for transport, relation in (("websocket_url", "websocket"), ("bosh_service_url", "xbosh")):
            with self.subTest(transport):
                url = urllib.parse.urlsplit(links[relation])
                await self.day(nginx.port, transport, url.scheme, url.path)
