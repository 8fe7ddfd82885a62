"""Servers for fakes that read from a socket and never answer."""

import socket
import threading
import time

from tests.fakes.web import Listener
from tests.services.ports import reserve_port


class Tcp:
    """Hands what ends in the product's ``end`` to its ``take``."""

    def __init__(self, product, faults, tls=None):
        self.product, self.faults = product, faults
        self.requests = []
        self.lock = threading.Lock()
        self.listener = Listener(faults, self.serve, tls)

    def serve(self, connection):
        """Read until the client has gone, or a fault ends it."""
        rest = b""
        while not self.listener.over.is_set():
            while self.faults.is_deaf:
                if self.listener.over.wait(0.02):
                    return
            data = connection.recv(65536)
            if not data:
                return
            fault = self.faults.next()
            if fault == "cut before":
                return
            *whole, rest = (rest + data).split(self.product.end)
            with self.lock:
                for one in whole:
                    self.product.take(one)
            if fault == "cut after acceptance":
                return
            if fault == "drip":
                time.sleep(0.5)


class Udp:
    """Hands each datagram to the product's ``datagram``."""

    def __init__(self, product, faults, tls=None):
        self.product, self.faults = product, faults
        self.requests = []
        self.listener = self
        self.port = reserve_port()
        self.socket = None
        self.over = threading.Event()
        faults.listen = self.attend
        self.attend()

    def attend(self):
        """Listen, or do not."""
        if self.faults.is_refusing and self.socket is not None:
            self.shut()
        elif not self.faults.is_refusing and self.socket is None and not self.over.is_set():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", self.port))
            self.thread = threading.Thread(target=self.read, args=(self.socket,), daemon=True)
            self.thread.start()

    def read(self, bound):
        """Take datagrams until the socket is closed."""
        while self.socket is bound:
            try:
                bound.settimeout(0.05)
                self.product.datagram(bound.recv(65536))
            except TimeoutError:
                continue
            except OSError:
                return

    def shut(self):
        """Close the port."""
        bound, self.socket = self.socket, None
        self.thread.join(5)
        bound.close()

    def stop(self):
        """Close all."""
        self.over.set()
        if self.socket is not None:
            self.shut()
