"""A server that means no good: blocking sockets of its own, TLS, dialback and EXTERNAL as far as an attack needs them."""

import base64
import re
import socket
import ssl
import threading
import time

STREAM = ("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
          "xmlns:db='jabber:server:dialback' from='{}' to='{}' version='1.0'>")


class Refused(Exception):
    """The other side closed the connection."""


class Stranger:
    """A connection from an address of its own; nobody is authenticated on it."""

    def __init__(self, source, target, patience=10, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.patience = patience
        self.socket.settimeout(patience)
        self.socket.bind((source, 0))
        self.socket.connect(target)
        self.read = self.waiting = b""

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def push(self, text):
        """Puts text behind what waits, and sends what the other side takes now. Nothing is cut in the middle."""
        self.waiting += text if isinstance(text, bytes) else text.encode()
        self.socket.setblocking(False)
        try:
            while self.waiting:
                self.waiting = self.waiting[self.socket.send(self.waiting[:16384]):]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        finally:
            self.socket.settimeout(self.patience)

    def until(self, pattern):
        """Reads until something matches, and gives what was read."""
        while not (found := re.search(pattern, self.read, re.DOTALL)):
            data = self.socket.recv(65536)
            if not data:
                raise Refused(self.read.decode(errors="replace"))
            self.read += data
        text, self.read = self.read[:found.end()], self.read[found.end():]
        return text.decode()

    def is_open(self):
        """Whether the other side has not closed it; what it said is not looked at."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
            return False
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self.socket.settimeout(self.patience)

    def close(self):
        self.socket.close()


class Server(Stranger):
    """A server of `domain` with TLS, and with a certificate if `directory` has one."""

    def __init__(self, source, target, domain, to, directory=None, **options):
        super().__init__(source, target, **options)
        self.domain, self.to = domain, to
        self.greet()
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.until(b"<proceed[^>]*>")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if directory:
            context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_hostname=to)
        self.greet()

    def greet(self):
        self.send(STREAM.format(self.domain, self.to))
        return self.until(b"</stream:features>|<stream:features/>")

    def login(self):
        authzid = base64.b64encode(self.domain.encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{authzid}</auth>")
        self.until(b"<success[^>]*>")
        self.greet()
        return self

    def dialback(self, domain, key="no-key"):
        self.send(f"<db:result from='{domain}' to='{self.to}'>{key}</db:result>")


class Victim:
    """Somebody else's server, which is made a target: counts who comes."""

    def __init__(self, address):
        self.socket = socket.create_server(address, backlog=1000)
        self.came = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            while True:
                visitor, _ = self.socket.accept()
                self.came += 1
                visitor.close()
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Meter:
    """What a process used between two moments: processor time of all its threads, and memory."""

    def __init__(self, pid):
        self.pid = pid
        self.began, self.cpu, self.memory = time.monotonic(), self.seconds(), self.resident()
        self.highest = self.memory

    def seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def resident(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def look(self):
        self.highest = max(self.highest, self.resident())

    @property
    def grown(self):
        self.look()
        return self.highest - self.memory

    @property
    def share(self):
        """Of one core."""
        return (self.seconds() - self.cpu) / (time.monotonic() - self.began)
