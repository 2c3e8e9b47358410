"""One server for all tests of a class, fresh accounts for every test."""

import logging
import unittest

from client import Client
from servers import DOMAIN, Balcony, chosen

# What slixmpp reports of refused logins and closed streams is what the tests provoke.
logging.disable(logging.CRITICAL)

# For what no other server has: commands of its own, figures, more than one database.
balcony_only = unittest.skipUnless(chosen() is Balcony, "only Balcony has this")


class Scenario(unittest.IsolatedAsyncioTestCase):
    """People of one test are named after it, so that no test sees what another left behind."""

    registration = "closed"
    people = ("romeo", "juliet", "nurse")

    @classmethod
    def setUpClass(cls):
        cls.server = chosen()(registration=cls.registration).start()
        cls.addClassCleanup(cls.server.__exit__)
        cls.tests = 0

    def setUp(self):
        type(self).tests += 1
        self.number = self.tests
        for person in self.people:
            self.server.account(self.name(person), "secret")

    async def asyncSetUp(self):
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            client.abort()
        if self.server.process.poll() is not None:
            self.fail(f"the server is gone:\n{self.server.tail()}")

    def name(self, person):
        return f"{person}{self.number}"

    def user(self, person):
        return f"{self.name(person)}@{DOMAIN}"

    async def client(self, person, *, available=True, **options):
        client = Client(self.server, self.name(person), **options)
        self.clients.append(client)
        return await client.login(available=available)
