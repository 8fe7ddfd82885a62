"""Fakes of the products that lines are shipped to: strict about their contract, faulty when told.

``with Fake(product) as fake:`` runs one of `PRODUCTS` on a loopback port. It has

``url``       what ``OBSKIT_SHIP`` is to say, with the options for its credential
``stored``    the events that it has, each once, as dicts that have a ``message``
``received``  those that it took, again where they came again
``refused``   those that it did not like, as the product says it
``faults``    see ``faults.py``
``requests``  what it was asked, where it speaks HTTP
``secret``    what it wants to hear; ``rotate()`` makes another one, for the file too
"""

import json
import secrets
import shutil
import ssl
import tempfile
from pathlib import Path

from tests.fakes.elasticsearch import Elasticsearch
from tests.fakes.faults import Faults
from tests.fakes.gelf import Gelf, GelfTcp, GelfUdp
from tests.fakes.humio import Humio, HumioHec
from tests.fakes.logstash import Logstash, LogstashTcp
from tests.fakes.loki import Loki
from tests.fakes.otlp import Otlp
from tests.fakes.sockets import Tcp, Udp
from tests.fakes.splunk import Splunk, SplunkAck
from tests.fakes.web import Web
from tests.fakes.zipkin import Zipkin

CERTIFICATE = Path(__file__).parents[1] / "instrumentation" / "loopback.pem"
PRODUCTS = {
    "elasticsearch": Elasticsearch,
    "humio": Humio,
    "humio hec": HumioHec,
    "splunk": Splunk,
    "splunk ack": SplunkAck,
    "loki": Loki,
    "logstash": Logstash,
    "logstash tcp": LogstashTcp,
    "otlp": Otlp,
    "gelf": Gelf,
    "gelf tcp": GelfTcp,
    "gelf udp": GelfUdp,
    "zipkin": Zipkin,
}
# Those that answer, and can say what they did not like.
WEB = tuple(name for name, kind in PRODUCTS.items() if kind.transport == "web")


class Fake:
    """One running fake.

    Args:
        name: Which product.
        secure: Whether it speaks TLS, with the certificate of the tests.
        client_ca: A file of certificates; it then wants one of the client that these vouch for.
    """

    def __init__(self, name, secure=False, client_ca=None):
        self.name = name
        self.folder = Path(tempfile.mkdtemp())
        self.faults = Faults()
        self.product = PRODUCTS[name](self.faults)
        self.secure = secure
        tls = context(client_ca) if secure else None
        server = {"web": Web, "tcp": Tcp, "udp": Udp}[self.product.transport]
        self.server = server(self.product, self.faults, tls)
        self.rotate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End it."""
        self.server.listener.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self):
        """Where it listens."""
        return self.server.listener.port

    @property
    def secret(self):
        """What it wants to hear."""
        return self.product.secret

    @property
    def token_file(self):
        """The file with the secret."""
        return self.folder / "secret"

    def rotate(self):
        """Want another secret from now on."""
        self.product.secret = f"s3cret-{secrets.token_hex(12)}"
        self.token_file.write_text(self.product.secret + "\n")

    @property
    def url(self):
        """What OBSKIT_SHIP is to say."""
        scheme = self.product.scheme
        if self.secure:
            scheme = {"http": "https", "tcp": "tls"}[scheme]
        host = "localhost" if self.secure else "127.0.0.1"
        query = self.product.query.replace("FILE", str(self.token_file))
        return f"{self.product.backend}+{scheme}://{host}:{self.port}?{query}"

    @property
    def requests(self):
        """What it was asked."""
        return self.server.requests

    @property
    def received(self):
        """All that it took, in order."""
        return list(self.product.received)

    @property
    def refused(self):
        """All that it refused."""
        return list(self.product.refused)

    @property
    def stored(self):
        """All that it has, in order, each once."""
        unique = {}
        for event in self.received:
            unique.setdefault(json.dumps(event, sort_keys=True), event)
        return list(unique.values())


def context(client_ca=None):
    """Return how a secure fake proves itself."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE)
    if client_ca is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(client_ca)
    return made
