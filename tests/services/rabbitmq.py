"""Run a real RabbitMQ broker that can be lost, brought back and paused."""

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.binaries import load_table, require
from tests.services.ports import accepts, hold_port, wait_until
from tests.services.processes import Process, bare_environment

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
log.file = false
log.console = true
log.console.level = warning
disk_free_limit.absolute = 1MB
"""


class Broker:
    """A RabbitMQ node on loopback ports of its own, with all of its files in one folder.

    It keeps its port while it is down: nobody else gets it, and connections are refused.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self._program = program
        self._held = [hold_port() for _ in range(3)]
        self.ports = [held.getsockname()[1] for held in self._held]
        self.port, self._node_port, self._names_port = self.ports
        self._names: Process | None = None
        self._server: Process | None = None
        self._queues: list[str] = []
        configuration = CONFIGURATION.format(port=self.port)
        folder.joinpath("rabbitmq.conf").write_text(configuration, encoding="utf-8")
        folder.joinpath("enabled_plugins").write_text("[].\n", encoding="utf-8")

    @property
    def url(self) -> str:
        """The address for clients, with user, password and virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def running(self) -> bool:
        """Whether the broker is up, or paused."""
        return self._server is not None and self._server.running

    @property
    def log(self) -> str:
        """What the broker wrote since its last start."""
        return self._server.stdout.decode(errors="replace") if self._server else ""

    def start(self, timeout: float = 60.0) -> None:
        """Start the broker, with what it kept from before, and wait until AMQP answers."""
        if self.running:
            return
        if self._names is None:
            self._names = self._run(*self._name_server())
        # The first node of a machine starts a name server that stays: ours must be there before.
        wait_until(lambda: accepts(self._names_port), lambda: repr(self._names), 10.0)
        self._server = self._run(self._program)
        wait_until(self._listens, lambda: f"no listener: {self.log}", timeout)
        with self.channel():
            pass

    def stop(self) -> None:
        """Shut the broker down as an operator does; durable queues are kept."""
        if self._server is not None:
            self._server.stop(timeout=60.0)
            self._wait_until_gone()

    def kill(self) -> None:
        """Lose the broker at once, as in a crash."""
        if self._server is not None:
            self._server.kill()
            self._wait_until_gone()

    def restart(self) -> None:
        """Stop the broker and start it again on the same port."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze the broker: connections stay open, new ones are accepted, nothing answers."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def channel(self) -> Iterator["BlockingChannel"]:
        """Open a pika channel on a connection of its own, and close both."""
        # Not at the top: only a test that talks to the broker imports a client.
        import pika
        from pika.exceptions import AMQPError

        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            with contextlib.suppress(AMQPError):
                connection.close()

    def queue(self, prefix: str = "queue", **options: Any) -> str:
        """Declare a queue with a name that nobody else has; it is deleted after the test."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        with self.channel() as channel:
            channel.queue_declare(name, **options)
        self._queues.append(name)
        return name

    def waiting(self, queue: str) -> int:
        """Return the number of messages that wait in a queue."""
        with self.channel() as channel:
            count: int = channel.queue_declare(queue, passive=True).method.message_count
            return count

    def purge(self, queue: str) -> None:
        """Throw away the messages that wait in a queue."""
        with self.channel() as channel:
            channel.queue_purge(queue)

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl, as in ``ctl("list_queues", "name", "messages")``; return its output."""
        return subprocess.run(
            [str(Path(self._program).with_name("rabbitmqctl")), "--quiet", *words],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def tidy(self) -> None:
        """Bring a lost broker back, and delete the queues that were declared here."""
        self.start()
        while self._queues:
            with self.channel() as channel:
                channel.queue_delete(self._queues.pop())

    def close(self) -> None:
        """End all that was started, and give the ports back."""
        self.kill()
        if self._names is not None:
            self._names.kill()
        for held in self._held:
            held.close()

    def _listens(self) -> bool:
        if not self.running:
            raise AssertionError(f"RabbitMQ ended: {self.log}")
        return accepts(self.port)

    def _wait_until_gone(self) -> None:
        wait_until(lambda: not accepts(self.port), lambda: "RabbitMQ still listens", 10.0)

    def _run(self, *command: str) -> Process:
        return Process(
            command,
            env=self._environment(),
            cwd=self.folder,
            stdin=b"",
            capture="file",
            merge=True,
        )

    def _name_server(self) -> tuple[str, ...]:
        program = load_table().program("epmd") or "epmd"
        return (program, "-address", "127.0.0.1", "-port", str(self._names_port))

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return bare_environment(
            folder,
            ERL_CRASH_DUMP_SECONDS="0",
            ERL_EPMD_ADDRESS="127.0.0.1",
            ERL_EPMD_PORT=str(self._names_port),
            RABBITMQ_ADVANCED_CONFIG_FILE=str(folder / "advanced.config"),
            RABBITMQ_CONFIG_FILE=str(folder / "rabbitmq.conf"),
            RABBITMQ_CONFIG_FILES=str(folder / "conf.d"),
            RABBITMQ_CONF_ENV_FILE=str(folder / "rabbitmq-env.conf"),
            RABBITMQ_CTL_ERL_ARGS=LOOPBACK_ONLY,
            RABBITMQ_DIST_PORT=str(self._node_port),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "enabled_plugins"),
            RABBITMQ_GENERATED_CONFIG_DIR=str(folder / "generated"),
            RABBITMQ_LOG_BASE=str(folder / "log"),
            RABBITMQ_MNESIA_BASE=str(folder / "mnesia"),
            RABBITMQ_NODENAME=f"obskit{self.port}@localhost",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=LOOPBACK_ONLY,
        )


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Run a broker of one's own in an empty folder; skip the test where RabbitMQ is absent."""
    broker = Broker(require("rabbitmq"), folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Give the one broker of the test run."""
    with running_broker(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


@pytest.fixture
def rabbitmq(shared_broker: Broker) -> Iterator[Broker]:
    """Give a broker that is up; the next test finds it up and tidy whatever this one does."""
    shared_broker.start()
    yield shared_broker
    shared_broker.tidy()
