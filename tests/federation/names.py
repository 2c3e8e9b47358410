"""The name server of the lab: service records and addresses of its domains, over UDP."""

import socket
import struct
import threading

A, AAAA, SRV, TLSA = 1, 28, 33, 52
NOTHING, NO_SUCH_NAME = 0, 3


class NameServer:
    """`domains`: name → (address, port of STARTTLS, port of direct TLS or None); the address is of either family.

    With `numeric`, service records name addresses instead of domains: ejabberd asks the C library for addresses, which
    asks nobody about what is one already. `certificates`: name of a service → the data of its TLSA records.
    """

    def __init__(self, address, domains, numeric=False, certificates=None):
        self.domains, self.numeric, self.certificates = domains, numeric, certificates or {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.1)
        self.socket.bind(address)
        self.over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.over = True
        self.thread.join()
        self.socket.close()

    def serve(self):
        while not self.over:
            try:
                question, peer = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(question), peer)
            except OSError:
                # Nobody asked anything for a moment.
                pass

    def answer(self, message):
        identity, = struct.unpack_from("!H", message)
        name, end = read_name(message, 12)
        kind, = struct.unpack_from("!H", message, end)
        records, code = self.look_up(name.lower(), kind)
        header = struct.pack("!6H", identity, 0x8580 | code, 1, len(records), 0, 0)
        answers = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 5, len(data)) + data for data in records)
        return header + message[12:end + 4] + answers

    def look_up(self, name, kind):
        if name in self.certificates:
            return (self.certificates[name] if kind == TLSA else []), NOTHING
        if self.place(name):
            address, _, _ = self.place(name)
            family, its_kind = (socket.AF_INET6, AAAA) if ":" in address else (socket.AF_INET, A)
            return ([socket.inet_pton(family, address)] if kind == its_kind else []), NOTHING
        service, _, domain = name.partition("._tcp.")
        if not self.place(domain):
            return [], NO_SUCH_NAME
        address, plain, direct = self.place(domain)
        port = {"_xmpp-server": plain, "_xmpps-server": direct}.get(service)
        if port is None:
            return [], NO_SUCH_NAME
        return ([struct.pack("!3H", 0, 0, port) + write_name(address if self.numeric else domain)] if kind == SRV else []), NOTHING

    def place(self, domain):
        """`*.domain` stands for all names right below it."""
        return self.domains.get(domain) or self.domains.get("*." + domain.partition(".")[2])


def read_name(message, at):
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("ascii"))
        at += 1 + message[at]
    return ".".join(labels), at + 1


def write_name(name):
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".")) + b"\0"
