"""Ask a program for a page as a caller would, with a correlation ID of our own."""

from __future__ import annotations

import http.client
import secrets
from dataclasses import dataclass

MOST_READ = 1 << 22
SYNTHETIC = "obskit.synthetic=doctor"


@dataclass(slots=True)
class Answer:
    """What the program answered to a request with a correlation ID of ours."""

    port: int
    path: str
    sent: str
    status: int | None = None
    returned: tuple[str, ...] = ()
    fault: str = ""

    @property
    def url(self) -> str:
        """What was asked for, without its query."""
        return f"http://127.0.0.1:{self.port}{self.path.partition('?')[0]}"


def ask(port: int, path: str, header: str, patience: float = 10.0) -> Answer:
    """Send one request that is marked as synthetic, and return what came back.

    Args:
        port: A port on loopback.
        path: Path, with a query if there is one.
        header: Name of the header with the correlation ID.
        patience: Seconds to wait for the answer.
    """
    answer = Answer(port, path, f"doctor-{secrets.token_hex(8)}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", path, headers={header: answer.sent, "baggage": SYNTHETIC})
        response = connection.getresponse()
        response.read(MOST_READ)
        answer.status = response.status
        answer.returned = tuple(response.headers.get_all(header) or ())
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer.fault = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return answer


def scrape(port: int) -> str:
    """Return the page of metrics, empty where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = response.read(MOST_READ).decode("utf-8", "replace")
        return text if response.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
