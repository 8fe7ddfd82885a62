"""Read the files in integrations/, and put those for Elasticsearch onto a server."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from obskit.fields import LINE_NAMES
from tests.services.opensearch import OpenSearch
from tests.source import ROOT

INTEGRATIONS = ROOT / "integrations"
# What agents and Elasticsearch call things; none of it is a field of a line.
FOREIGN = {"@timestamp", "tags"}


def text(name: str) -> str:
    """Return the text of a file, by its path below integrations/."""
    return INTEGRATIONS.joinpath(name).read_text(encoding="utf-8")


def parsed(name: str) -> Any:
    """Return what a JSON file holds."""
    return json.loads(text(name))


def yaml(node: OpenSearch, source: str) -> Any:
    """Return what a YAML text holds, as the YAML reader of OpenSearch understands it."""
    indented = "".join(f"      {line}\n" for line in source.splitlines())
    body = f"---\npipeline:\n  processors: []\ndocs:\n  - _source:\n{indented}"
    path = "_ingest/pipeline/_simulate"
    found = node.ask("POST", path, body, content_type="application/yaml", format="json")
    (answer,) = found["docs"]
    return answer["doc"]["_source"]


def are_fields(names: Iterable[str]) -> None:
    """Fail with those of the names that are neither fields of a line nor an agent's own."""
    unknown = sorted(set(names) - LINE_NAMES - FOREIGN)
    assert not unknown, f"no fields of a line: {', '.join(unknown)}"


def sent_by_the_script(kind: str) -> list[tuple[str, str]]:
    """Return what put.sh sends to a kind of server: paths and the files for them, in order."""
    script = text("elasticsearch/put.sh")
    first = re.findall(rf"{kind}\) put (\S+) (\S+)", script)
    others = re.findall(r"^put (\S+) \"?([^\s\"]+)", script, flags=re.MULTILINE)
    return [(path, file.replace("$kind", kind)) for path, file in first + others]


def put_files(node: OpenSearch) -> None:
    """Send what the script sends to OpenSearch; the part for policies is not there."""
    for path, file in sent_by_the_script("opensearch"):
        if not path.startswith("_plugins/_ism"):
            node.ask("PUT", path, parsed(f"elasticsearch/{file}"))


@contextlib.contextmanager
def stocked(node: OpenSearch) -> Iterator[OpenSearch]:
    """Give a node that has the files; what was stored meanwhile is gone afterwards."""
    node.start()
    put_files(node)
    try:
        yield node
    finally:
        node.call("DELETE", "_data_stream/logs-obskit*")
        node.call("DELETE", "_index_template/obskit")
        node.call("DELETE", "_component_template/obskit-settings")
        node.call("DELETE", "_ingest/pipeline/obskit")


def store(node: OpenSearch, stream: str, documents: Iterable[dict[str, Any]]) -> None:
    """Store documents in a data stream, each under an id of its own; none may be refused."""
    rows: list[dict[str, Any]] = []
    for number, document in enumerate(documents):
        rows += [{"create": {"_id": str(number)}}, document]
    body = "".join(json.dumps(row) + "\n" for row in rows)
    answer = node.ask("POST", f"{stream}/_bulk", body, refresh="true")
    refused = [one for one in answer["items"] if one["create"]["status"] != 201]
    assert not refused, f"refused: {refused[:3]}"
