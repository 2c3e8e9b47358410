"""Logging in over real sockets: both address families, both versions of TLS, a host that changes how it keeps passwords,
accounts that are not there, and a log that tells no secrets whatever it is asked to tell."""

import asyncio
import base64
import os
import socket
import ssl
import unittest
from unittest import mock

from servers import DOMAIN, Balcony
from wire import SASL, Closed, Refused, Wire, encode, message

PATIENCE = 30
PASSWORD = "a pear of Popering"


class House(Balcony):
    """A server on both address families."""

    def configure(self):
        self.set_storage("scram")

    def set_storage(self, password_storage):
        super().configure()
        file = self.directory / "balcony.toml"
        text = file.read_text().replace("[muc]", f'password_storage = "{password_storage}"\n[muc]', 1)
        for port in (self.port, self.tls_port):
            text = text.replace(f'["127.0.0.1:{port}"]', f'["127.0.0.1:{port}", "[::1]:{port}"]')
        file.write_text(text)


class Login(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = House()
        self.addCleanup(self.server.__exit__)

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)
        self.opened = []

    async def asyncTearDown(self):
        # Before the server stops, which gives clients some seconds to hear of it.
        for wired in self.opened:
            wired.cut()

    async def connect(self, host="127.0.0.1", versions=None):
        security = ssl.create_default_context(cafile=self.server.certificate)
        if versions:
            security.minimum_version = security.maximum_version = versions
        wired = Wire(*await asyncio.open_connection(host, self.server.tls_port, ssl=security, server_hostname=DOMAIN))
        self.opened.append(wired)
        return wired

    async def mechanisms(self, wired):
        features = await wired.open()
        return {mechanism.text for mechanism in features.iter(f"{{{SASL}}}mechanism")}

    async def plain(self, user, password, wired=None):
        wired = wired or await self.connect()
        await wired.open()
        words = encode(f"\0{user}\0{password}".encode())
        wired.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{words}</auth>")
        await wired.answer("success")
        await wired.open()
        return await wired.bind("plain")

    async def test_both_address_families_with_starttls_and_with_tls_at_once(self):
        self.server.account("romeo", PASSWORD)
        self.server.start()
        for host in ("127.0.0.1", "::1"):
            with self.subTest(host):
                wired = await self.connect(host)
                await wired.login("romeo", PASSWORD)
                reader, writer = await asyncio.open_connection(host, self.server.port)
                plain = Wire(reader, writer)
                self.opened.append(plain)
                features = await plain.open()
                self.assertIsNotNone(features.find("{urn:ietf:params:xml:ns:xmpp-tls}starttls"))
                self.assertIsNone(features.find(f"{{{SASL}}}mechanisms"))

    async def test_tls_1_2_and_1_3_and_nothing_older(self):
        self.server.account("romeo", PASSWORD)
        self.server.start()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                await (await self.connect(versions=version)).login("romeo", PASSWORD, "SCRAM-SHA-256")
        older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        older.check_hostname, older.verify_mode = False, ssl.CERT_NONE
        older.set_ciphers("ALL:@SECLEVEL=0")
        older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.server.tls_port), PATIENCE) as connection:
            # An alert of the server; any other error would be one of this client. rustls looks first for what no client of
            # TLS 1.1 says, its signature algorithms, and so refuses the handshake rather than the version.
            with self.assertRaises(ssl.SSLError) as refused:
                await asyncio.to_thread(older.wrap_socket, connection)
            self.assertIn(refused.exception.reason, ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE"))

    async def test_a_host_that_changes_how_it_keeps_passwords_does_so_at_the_next_login(self):
        for user in ("romeo", "juliet"):
            self.server.account(user, PASSWORD)
        self.server.set_storage("argon2id")
        self.server.start()
        self.assertEqual(await self.mechanisms(await self.connect()), {"PLAIN"})
        romeo = await self.plain("romeo", PASSWORD)
        with self.assertRaisesRegex(Refused, "not-authorized"):
            await self.plain("romeo", "another")
        romeo.cut()
        self.server.stop()
        self.server.set_storage("scram")
        self.server.start()
        self.assertIn("SCRAM-SHA-256", await self.mechanisms(await self.connect()))
        # Juliet was away, and has her keys still. Romeo's are made when he says the password.
        await (await self.connect()).login("juliet", PASSWORD)
        with self.assertRaises(Refused):
            await (await self.connect()).login("romeo", PASSWORD)
        await self.plain("romeo", PASSWORD)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await (await self.connect()).login("romeo", PASSWORD, "SCRAM-SHA-256")
                    return
                except Refused:
                    await asyncio.sleep(0.05)

    async def test_argon2id_for_many_at_once_takes_turns(self):
        self.server.account("romeo", PASSWORD)
        self.server.set_storage("argon2id")
        self.server.start()
        await self.plain("romeo", PASSWORD)
        before, many = self.peak(), 20 * min(len(os.sched_getaffinity(0)), 8)
        logins = [self.plain("romeo", "wrong", await self.connect()) for _ in range(many)]
        outcomes = await asyncio.gather(*logins, return_exceptions=True)
        self.assertEqual({str(outcome) for outcome in outcomes}, {"not-authorized"})
        # Each takes about 19 MiB for itself, and there are as many at a time as there are cores.
        self.assertLess(self.peak() - before, many * 19 / 3)

    def peak(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    async def test_an_account_that_is_not_there_is_answered_like_one_that_is(self):
        self.server.account("romeo", PASSWORD)
        self.server.start()
        seen = {}
        for user in ("romeo", "rosaline", "rosaline"):
            wired = await self.connect()
            await wired.open()
            first = f"n,,n={user},r={encode(os.urandom(12))}"
            wired.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{encode(first.encode())}</auth>")
            challenge = base64.b64decode((await wired.answer("challenge")).text).decode()
            _, salt, rounds = challenge.split(",")
            seen.setdefault(user, set()).add((salt, rounds))
            with self.assertRaisesRegex(Refused, "not-authorized"):
                await (await self.connect()).login(user, "wrong")
            with self.assertRaisesRegex(Refused, "not-authorized"):
                await self.plain(user, "wrong")
        [(salt, rounds)] = seen["rosaline"]
        [(real_salt, real_rounds)] = seen["romeo"]
        self.assertEqual((len(salt), rounds), (len(real_salt), real_rounds))

    async def test_the_log_tells_no_secrets_whatever_it_is_asked_to_tell(self):
        for user in ("romeo", "juliet"):
            self.server.account(user, PASSWORD)
        with mock.patch.dict(os.environ, BALCONY_LOG="trace"):
            self.server.start()
        romeo = await self.plain("romeo", PASSWORD)
        juliet = await self.connect()
        await juliet.login("juliet", PASSWORD)
        await juliet.bind("balcony")
        juliet.send("<presence/>")
        await juliet.next()
        body = "wherefore art thou"
        romeo.send(message(juliet.jid, "1", body))
        while (await juliet.next()).get("id") != "1":
            pass
        romeo.send("<nonsense>" + body + "</nonsense>")
        with self.assertRaises(Closed):
            await romeo.next()
        juliet.cut()
        self.server.stop()
        log = self.server.log.read_text()
        self.assertIn("DEBUG", log, "it tells everything else")
        for line in log.splitlines():
            if " DEBUG " not in line and " TRACE " not in line:
                self.assertNotIn(f"@{DOMAIN}", line)
        said = encode(f"\0romeo\0{PASSWORD}".encode())
        for secret in (PASSWORD, said, body, encode(body.encode())):
            self.assertNotIn(secret, log)
