"""A headless Chromium with Converse.js in it, and the web server that gives it the page.

The browser is spoken to over a pipe in its own protocol (the Chrome DevTools Protocol). Whatever is not on loopback, it
cannot find.
"""

import asyncio
import contextlib
import functools
import http.server
import itertools
import json
import os
import pathlib
import shutil
import tempfile
import threading
import urllib.parse

PATIENCE = 60
HERE = pathlib.Path(__file__).resolve().parent
# Unpacked by tests/run.
CONVERSE = pathlib.Path(os.environ.get("CONVERSE", HERE.parents[1] / "target/converse/package/dist"))
PAGE = (HERE / "converse.html").read_bytes()


class Failed(Exception):
    """The page, or the browser, did something else than what was asked for."""


class _Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if urllib.parse.urlsplit(self.path).path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)
        return None

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site():
    """The web site with the page; its address."""
    handler = functools.partial(_Files, directory=CONVERSE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class Browser:
    """One browser. Each page is a profile of its own."""

    async def __aenter__(self):
        self.directory = tempfile.mkdtemp(prefix="balcony-browser-")
        there, ours_out = os.pipe()
        ours_in, back = os.pipe()
        binary = "/usr/lib/chromium/chromium" if os.path.exists("/usr/lib/chromium/chromium") else "chromium"
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
            "--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={self.directory}", "--remote-debugging-pipe", "about:blank"]
        # Chromium reads from 3 and writes to 4.
        self.process = await asyncio.create_subprocess_exec(
            "bash", "-c", f'exec "$0" "$@" 3<&{there} 4>&{back}', binary, *options, pass_fds=(there, back),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        os.close(there)
        os.close(back)
        self.out = os.fdopen(ours_out, "wb", buffering=0)
        self.numbers, self.asked, self.console = itertools.count(1), {}, []
        reader = asyncio.StreamReader(limit=1 << 26)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb", buffering=0))
        self.listening = asyncio.ensure_future(self._listen(reader))
        return self

    async def __aexit__(self, *_):
        self.listening.cancel()
        self.out.close()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _listen(self, reader):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                said = json.loads((await reader.readuntil(b"\0"))[:-1])
                if answer := self.asked.pop(said.get("id"), None):
                    answer.set_result(said)
                elif said.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                    self.console.append(json.dumps(said["params"])[:600])

    async def ask(self, method, session=None, **parameters):
        number = next(self.numbers)
        answer = self.asked[number] = asyncio.get_running_loop().create_future()
        question = {"id": number, "method": method, "params": parameters}
        if session:
            question["sessionId"] = session
        self.out.write(json.dumps(question).encode() + b"\0")
        said = await asyncio.wait_for(answer, PATIENCE)
        if "error" in said:
            raise Failed(f"{method}: {said['error']}")
        return said["result"]

    async def page(self, address):
        profile = (await self.ask("Target.createBrowserContext"))["browserContextId"]
        target = await self.ask("Target.createTarget", url="about:blank", browserContextId=profile)
        session = (await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        page = Page(self, session)
        await page.ask("Runtime.enable")
        await page.ask("Page.enable")
        await page.ask("Page.navigate", url=address)
        return page


class Page:
    """One page with Converse.js in it."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def ask(self, method, **parameters):
        return self.browser.ask(method, self.session, **parameters)

    async def evaluate(self, expression):
        """The value of an expression, awaited where it is a promise."""
        said = await self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise Failed(f"{expression}: {json.dumps(said['exceptionDetails'])[:1000]}")
        return said["result"].get("value")

    async def until(self, expression, seconds=PATIENCE):
        """Waits until an expression holds; gives its value."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                if value := await self.evaluate(expression):
                    return value
            except Failed as failed:
                value = failed
            if asyncio.get_running_loop().time() > deadline:
                events = await self.evaluate("JSON.stringify(window.events || null)")
                console = "\n".join(self.browser.console[-15:])
                raise Failed(f"{expression} is {value} after {seconds} s; events: {events}\n{console}")
            await asyncio.sleep(0.1)

    async def texts(self, body):
        """How often a message is shown."""
        return await self.evaluate(
            f"[...document.querySelectorAll('.chat-msg__text')].filter(e => e.innerText.trim() == {json.dumps(body)}).length")

    async def shows(self, body):
        quoted = json.dumps(body)
        await self.until(
            f"[...document.querySelectorAll('.chat-msg__text')].some(e => e.innerText.trim() == {quoted})")

    async def chat(self, jid, body):
        """Writes a message, as a person would: into the field of the chat, and Enter."""
        await self.evaluate(f"api.chats.open({json.dumps(jid)}, {{}}, true).then(() => true)")
        await self._write(body)

    async def enter(self, room, nick):
        """Enters a room, which is made if there is none (XEP-0045)."""
        wish = json.dumps({"nick": nick})
        await self.evaluate(f"api.rooms.open({json.dumps(room)}, {wish}, true).then(() => true)")
        # converse.ROOMSTATUS.ENTERED
        await self.until(f"api.rooms.get({json.dumps(room)}).then(room => room.session.get('connection_status') === 5)")

    async def say(self, room, body):
        """Says something in a room, as a person would."""
        await self.evaluate(f"api.rooms.open({json.dumps(room)}, {{}}, true).then(() => true)")
        await self._write(body)

    async def leave(self, room):
        """Leaves a room."""
        await self.evaluate(f"api.rooms.get({json.dumps(room)}).then(room => room.close()).then(() => true)")

    async def _write(self, body):
        await self.until("!!document.querySelector('textarea.chat-textarea')")
        await self.evaluate("document.querySelector('textarea.chat-textarea').focus()")
        await self.ask("Input.insertText", text=body)
        for kind in ("keyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter",
                           windowsVirtualKeyCode=13, text="\r" if kind == "keyDown" else "")
