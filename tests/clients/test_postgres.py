"""A server on PostgreSQL whose database goes away and comes back: who asks for something that must be kept is told to wait,
who only talks notices nothing, and what was kept before is there afterwards."""

import asyncio
import pathlib
import shutil
import subprocess
import tempfile
import time

from slixmpp.exceptions import IqError

from client import settled
from scenario import Scenario, balcony_only
from servers import ROOT, Balcony


# The store waits for its database before it gives up.
LONG = 60


class Cluster:
    """A private PostgreSQL of Debian's package (tests/postgres.sh)."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="balcony-postgres-"))
        self.directory.chmod(0o755)
        self.url = self.do("start").strip()

    def do(self, what):
        return subprocess.run([ROOT / "tests/postgres.sh", what, self.directory], check=True, capture_output=True,
                              text=True).stdout

    def stop(self):
        try:
            self.do("stop")
        except subprocess.CalledProcessError:
            # It was halted.
            pass
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


@balcony_only
class Postgres(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.tests = 0
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.server = Balcony(storage=cls.cluster.url).start()
        cls.addClassCleanup(cls.server.__exit__)

    async def test_the_database_goes_away_and_comes_back(self):
        romeo, juliet = await self.client("romeo"), await self.client("juliet")
        nurse = self.user("nurse")
        romeo.chat(nurse, "kept before")
        await romeo.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{nurse}' name='Nurse'/></query>")
        await settled(romeo, juliet)

        await asyncio.to_thread(self.cluster.do, "halt")
        # Who is at home talks on.
        romeo.chat(juliet.boundjid.full, "nothing has happened")
        await juliet.hears_body("nothing has happened")
        # What cannot be kept is not confirmed, and may be tried again; all at once, since each takes the store's patience.
        started = time.monotonic()
        romeo.chat(nurse, "cannot be kept")
        refused, error, login = await asyncio.gather(
            juliet.ask("set", "<query xmlns='jabber:iq:roster'><item jid='paris@capulet.lit'/></query>", seconds=LONG),
            romeo.hears(lambda s: s.name == "message" and s["type"] == "error", seconds=LONG),
            self.client("nurse", mechanism="SCRAM-SHA-1"), return_exceptions=True)
        print(f"{time.monotonic() - started:.1f} s until all were told", end=" ")
        self.assertIsInstance(refused, IqError)
        self.assertEqual(refused.iq["error"]["type"], "wait")
        self.assertEqual(error["error"]["type"], "wait")
        self.assertRegex(str(login), "temporary-auth-failure|nothing came")

        await asyncio.to_thread(self.cluster.do, "resume")
        await self.eventually(romeo, "<query xmlns='jabber:iq:roster'><item jid='benvolio@capulet.lit'/></query>")
        romeo.chat(nurse, "kept after")
        await settled(romeo)
        nurse = await self.client("nurse")
        for body in ("kept before", "kept after"):
            await nurse.hears_body(body)
        self.assertFalse(nurse.heard_any(lambda s: s["body"] == "cannot be kept"))
        for person, contacts in (("romeo", {self.user("nurse"), "benvolio@capulet.lit"}), ("juliet", set())):
            again = await self.client(person, resource="again")
            self.assertEqual(set(again.client_roster.keys()) - {again.boundjid.bare}, contacts, person)

    async def eventually(self, client, query):
        """The pool finds back within its own time."""
        for _ in range(60):
            try:
                return await client.ask("set", query)
            except IqError as error:
                self.assertEqual(error.iq["error"]["type"], "wait")
                await asyncio.sleep(0.5)
        raise AssertionError("the database is not used again")
