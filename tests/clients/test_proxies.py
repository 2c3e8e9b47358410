"""The examples of deploy/proxy: each is what its proxy understands, and clients get through. In a browser: test_browser."""

import asyncio
import http.client
import json
import socket
import ssl

import bosh
import websocket
from scenario import Scenario
from servers import DOMAIN, Caddy, HAProxy, Nginx


class Proxies(Scenario):
    people = ("romeo", "juliet")

    def proxy(self, kind):
        proxy = kind(self.server)
        code, said = proxy.checked()
        self.assertEqual(code, 0, said)
        self.assertNotRegex(said, r"(?i)warn(ing)?\]|unnecessary")
        return self.enterContext(proxy)

    async def test_nginx_understands_its_file(self):
        self.proxy(Nginx)

    async def test_haproxy(self):
        await self.through(self.proxy(HAProxy))

    async def test_caddy(self):
        await self.through(self.proxy(Caddy))

    async def through(self, proxy):
        juliet = await self.client("juliet")
        links = await asyncio.to_thread(self.host_meta, proxy)
        self.assertEqual(links, {"websocket": f"wss://{DOMAIN}:{proxy.port}/xmpp-websocket",
                                 "xbosh": f"https://{DOMAIN}:{proxy.port}/http-bind"})
        romeo = await asyncio.to_thread(
            bosh.Session.login, self.server, self.name("romeo"), "secret", "tab", proxy.port)
        said = f"<message xmlns='jabber:client' type='chat' to='{juliet.boundjid.full}'><body>BOSH</body></message>"
        await asyncio.to_thread(romeo.request, said)
        heard = await juliet.hears_body("BOSH")
        juliet.chat(heard["from"], "ay me")
        await asyncio.to_thread(romeo.hear, "ay me")
        await asyncio.to_thread(romeo.end)
        await self.over_websocket(proxy, juliet)

    def host_meta(self, proxy):
        trust = ssl.create_default_context(cafile=self.server.certificate)
        connection = http.client.HTTPSConnection(DOMAIN, proxy.port, context=trust)
        connection.sock = trust.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)), server_hostname=DOMAIN)
        connection.request("GET", "/.well-known/host-meta.json")
        links = json.load(connection.getresponse())["links"]
        connection.close()
        return {link["rel"].rsplit(":", 1)[1]: link["href"] for link in links}

    async def over_websocket(self, proxy, juliet):
        romeo = await asyncio.to_thread(
            websocket.Session.login, self.server, self.name("romeo"), "secret", proxy.port)
        said = f"<message xmlns='jabber:client' type='chat' to='{juliet.boundjid.full}'><body>WebSocket</body></message>"
        await asyncio.to_thread(romeo.send, said)
        heard = await juliet.hears_body("WebSocket")
        juliet.chat(heard["from"], "ay me")
        await asyncio.to_thread(romeo.hear, "ay me")
        await asyncio.to_thread(romeo.close)
