"""Serve the metrics on a port of their own, from whichever process of the family can."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from obskit import health, observation, signals
from obskit.metrics import catalogue, locks
from obskit.metrics.family import Family
from obskit.metrics.locks import Lock
from obskit.metrics.start import Start
from obskit.metrics.workers import current

if TYPE_CHECKING:
    from obskit.metrics.talk import Talk

PERIOD = 0.5
MOST_TALKS = 8
# Connections beyond it are tried again a second later by those who connect.
BACKLOG = 128


class Server:
    """A thread that answers scrapes, or waits until it is its turn to do so.

    Of a family only the holder of one lock listens; the others try to get it about once a
    second. The thread rests while the process forks. It gives way to an application that
    wants the same port: it opens it when the start is over, or at the first unit of work.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self.is_due = False
        self._wanted: tuple[str, int] | None = None
        self._family: Family | None = None
        # Of what is kept open, against a thread that goes on when its turns are over.
        self._guard = threading.Lock()
        self._start = Start()
        self._forget()

    def _forget(self) -> None:
        self._listener: socket.socket | None = None
        self._lock: Lock | None = None
        self._turns: Turns | None = None
        self._talks: dict[Talk, None] = {}

    @property
    def address(self) -> tuple[str, int] | None:
        """Where this process listens, if it does."""
        listener = self._listener
        return None if listener is None else listener.getsockname()[:2]

    def configure(self, host: str, port: int, family: Family | None) -> None:
        """Say where to listen, and with whom to share the port."""
        if self._wanted not in (None, (host, port)):
            self.stop()
        self._wanted = (host, port)
        self._family = family

    def begin(self) -> None:
        """Serve, or wait for our turn, as soon as the start of the program is over."""
        self.is_due = not self._start.is_over
        self._go_on()

    def start(self) -> None:
        """Serve, or wait for our turn, from now on; idempotent."""
        self.is_due = False
        self._start.is_over = True
        if self._turns is not None:
            self._turns.wake()
        self._go_on()

    def _go_on(self) -> None:
        if self._wanted is None or self._turns is not None:
            return
        try:
            self._turns = Turns(self._take_turn)
        except Exception as error:
            health.internal_error("metrics.server", error)

    def rest(self, longest_wait: float) -> None:
        """Stop the threads, but keep port and lock: who connects now is answered later."""
        turns, self._turns = self._turns, None
        if turns is None:
            return
        deadline = time.monotonic() + longest_wait
        turns.end()
        if turns.thread is not threading.current_thread():
            turns.thread.join(longest_wait)
        for talk in list(self._talks):
            if talk.thread is not threading.current_thread():
                talk.rest(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Stop serving and give port and lock away."""
        self.is_due = False
        self._wanted = None
        self.rest(PERIOD)
        for talk in list(self._talks):
            talk.hang_up()
        self.close()

    def close(self) -> None:
        """Close what is open, as after a fork, without touching what others hold open."""
        with self._guard:
            if self._listener is not None:
                self._listener.close()
            if self._lock is not None:
                self._lock.close()
            if self._turns is not None:
                self._turns.close()
            self._forget()

    def parent_after_fork(self) -> None:
        """Go on; begin, if this process is to live as a parent."""
        self._start.begin_again()
        self._go_on()

    def child_after_fork(self) -> None:
        """Leave all to the parent; our turn comes when we work, or fork."""
        self._guard = threading.Lock()
        self._start = Start()
        for talk in list(self._talks):
            talk.close()
        self.close()
        self.is_due = self._wanted is not None

    def _take_turn(self, turns: Turns) -> None:
        if not self._start.ends():
            turns.wait(None)
            return
        may_accept = self._has_lock(turns) and self._listens(turns)
        if turns.wait(self._listener):
            if may_accept:
                self._accept()
        elif not turns.ended:
            # Spare the first request the import, and be counted as a worker.
            catalogue.load()
            current.settle_early()
            if not may_accept and current.slot is None:
                # Who is asked instead of us is to find what we have counted.
                current.share()

    def _has_lock(self, turns: Turns) -> bool:
        """Tell whether it is our turn; where there is no folder to lock in, it always is."""
        if self._lock is None and self._family is not None:
            try:
                self._family.enter()
            except OSError:
                self._family = None
            else:
                self._try_lock(self._family, turns)
        return self._lock is not None or self._family is None

    def _try_lock(self, family: Family, turns: Turns) -> None:
        with contextlib.suppress(PermissionError):  # the head is another user, and serves
            lock = locks.take(family.folder / "port.lock")
            if lock is None:
                return
            with self._guard:
                if turns.ended:
                    lock.close()
                    return
                self._lock = lock
            family.wipe_strangers()

    def _listens(self, turns: Turns) -> bool:
        if self._listener is not None:
            return True
        wanted = self._wanted
        if wanted is None:
            return False
        try:
            listener = _listen(*wanted)
        except OSError as error:
            self._report(error, *wanted)
            return False
        with self._guard:
            if turns.ended:
                listener.close()
                return False
            self._listener = listener
        self.trouble = ""
        return True

    def _report(self, error: OSError, host: str, port: int) -> None:
        """Say once why there is no port; it is tried again, since its holder may end."""
        if self.trouble:
            return
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            remedy = "OBSKIT_METRICS_HOST to an address of this machine"
        else:
            remedy = "OBSKIT_METRICS_PORT to a port of this service's own, or to off"
        self.trouble = (
            f"metrics are not served on {host}:{port}: {error.strerror or error}; set {remedy}"
        )
        catalogue.log.warning("%s", self.trouble)

    def _accept(self) -> None:
        from obskit.metrics.talk import Talk

        listener = self._listener
        if listener is None:  # closed meanwhile
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = listener.accept()
            talk = Talk(connection, self._over)
            if not self._has_room():
                talk.close()
                return
            self._talks[talk] = None
            try:
                talk.thread.start()
            except RuntimeError:  # no more threads, or the interpreter is about to end
                self._over(talk)
                talk.close()

    def _has_room(self) -> bool:
        """Tell whether one more may talk; the one who is silent for longest has to go for it."""
        talks = list(self._talks)
        if len(talks) < MOST_TALKS:
            return True
        silent = next((talk for talk in talks if talk.reading), None)
        if silent is None:
            return False
        silent.hang_up()
        self._over(silent)
        return True

    def _over(self, talk: Talk) -> None:
        self._talks.pop(talk, None)


class Turns:
    """A daemon thread that calls a function again and again until it is ended."""

    def __init__(self, take_turn: Callable[[Turns], None]) -> None:
        self.ended = False
        self._take_turn = take_turn
        self._wake = socket.socketpair()
        self.thread = threading.Thread(target=self._run, name="obskit-metrics", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            self.close()
            raise

    def _run(self) -> None:
        signals.leave()
        with observation.suppress():
            while not self.ended:
                try:
                    self._take_turn(self)
                except Exception as error:
                    health.internal_error("metrics.server", error)
                    self.wait(None)
        self.close()

    def wait(self, listener: socket.socket | None) -> bool:
        """Wait a while; tell whether somebody connects to *listener*."""
        poll = select.poll()
        poll.register(self._wake[0], select.POLLIN)
        if listener is not None:
            poll.register(listener, select.POLLIN)
        mine = self._wake[0].fileno()
        ready = [number for number, _ in poll.poll(PERIOD * 1000)]
        if mine in ready:
            self._wake[0].recv(64)
        return any(number != mine for number in ready)

    def end(self) -> None:
        """Let the thread end soon."""
        self.ended = True
        self.wake()

    def wake(self) -> None:
        """Let the thread wait no longer this time."""
        with contextlib.suppress(OSError):
            self._wake[1].send(b"x")

    def close(self) -> None:
        """Close what a wait needs."""
        for end in self._wake:
            end.close()


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
