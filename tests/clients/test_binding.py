"""SCRAM with channel binding, which no Python client library can do with TLS 1.3."""

import wire
from scenario import Scenario


class ChannelBinding(Scenario):
    async def connect(self):
        wired = await wire.Wire.connect(self.server, tls=True)
        self.addCleanup(wired.cut)
        return wired

    async def test_scram_plus_with_the_certificate_of_the_server(self):
        for mechanism in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"):
            with self.subTest(mechanism):
                wired = await self.connect()
                await wired.login(self.name("romeo"), "secret", mechanism)
                await wired.bind("wire")
                self.assertEqual(wired.jid, f"{self.user('romeo')}/wire")

    async def test_a_wrong_password_is_refused_with_channel_binding_too(self):
        wired = await self.connect()
        with self.assertRaisesRegex(wire.Refused, "not-authorized"):
            await wired.login(self.name("romeo"), "wrong", "SCRAM-SHA-256-PLUS")
