"""What holds for all backends: each fault has its verdict, and poison costs one event."""

import os
import time

import pytest

from obskit.shipping import backends, target
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN
from tests.fakes.fake import PRODUCTS, WEB, Fake
from tests.fakes.faults import RETRY_AFTER

LINES = tuple(name for name in PRODUCTS if name != "zipkin")
# These say nothing in the body of a success that anybody has to read.
SILENT = frozenset({"humio", "humio hec", "loki", "logstash", "gelf", "zipkin"})
MESSAGES = ["one", "two", "three", "four", "five"]


def messages(fake, count=None):
    """Return the messages of what a fake has, sorted; waits where nobody answers."""
    deadline = time.monotonic() + 5
    while count is not None and len(fake.stored) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(event["message"] for event in fake.stored)


def as_spans(name, entries):
    """Return entries as the backend wants them."""
    if name != "zipkin":
        return entries
    return [one._replace(body=one.body.replace(b'"message"', b'"name"')) for one in entries]


def deliver(backend, entries):
    """Send until all is decided, as the shipping thread does; return taken, dead and lost."""
    todo, taken, dead, lost, tries = [entries], [], [], 0, 0
    while todo:
        batch = todo.pop()
        found = backend.send(batch, 5)
        tries += 1
        assert tries < 100
        fails = found.kind == AGAIN and found.part and tries > 2
        if len(batch) > 1 and found.part and (fails or found.kind == REFUSED):
            middle = len(batch) // 2
            todo += [batch[middle:], batch[:middle]]
        elif fails or found.kind == REFUSED:
            dead += batch
        elif found.kind == AGAIN:
            todo.append(batch)
        else:
            others = dict(found.items)
            lost += found.lost
            taken += [one for index, one in enumerate(batch) if index not in others]
            dead += [batch[index] for index, one in others.items() if one.kind == REFUSED]
            again = [batch[index] for index, one in others.items() if one.kind == AGAIN]
            todo += [again] if again else []
    return taken, dead, lost


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_batch_is_taken_as_a_whole(name, start, lines):
    """The strict fake has each line once, and has refused nothing."""
    fake, backend = start(name)
    found = backend.send(as_spans(name, lines(*MESSAGES, order=7)), 5)

    assert (found.kind, found.items, found.lost) == (TAKEN, (), 0)
    assert messages(fake, 5) == sorted(MESSAGES)
    assert fake.refused == []
    assert len(fake.received) == 5


VERDICTS = [
    ("401", AGAIN, "status 401"),
    ("403", AGAIN, "status 403"),
    ("413", REFUSED, "status 413"),
    ("429", AGAIN, "status 429"),
    ("429 with Retry-After", AGAIN, "status 429"),
    ("500", AGAIN, "status 500"),
    ("503", AGAIN, "status 503"),
    ("refused", AGAIN, "no connection"),
    ("cut before", AGAIN, "no connection"),
    ("cut after acceptance", AGAIN, "no connection"),
    ("hang", AGAIN, "timeout"),
    ("drip", AGAIN, "timeout"),
    ("babble", AGAIN, "no answer"),
    ("nonsense", AGAIN, "not understood"),
]


@pytest.mark.parametrize("name", WEB)
@pytest.mark.parametrize(("fault", "kind", "why"), VERDICTS)
def test_each_fault_has_its_verdict(name, fault, kind, why, start, lines):
    """A refusal of size may be one entry's fault, everything else is to be sent again."""
    fake, backend = start(name)
    entries = as_spans(name, lines(*MESSAGES))
    fake.faults.use(fault)
    begun = time.monotonic()
    found = backend.send(entries, 0.5)

    if name == "gelf" and fault == "413":  # one request for each message
        assert {one.why for _, one in found.items} == {why}
        return
    assert (found.kind, found.why) == (kind, why)
    assert found.wait == (RETRY_AFTER if fault.endswith("Retry-After") else 0)
    assert (found.part, found.items) == (fault in ("413", "500") and name != "gelf", ())
    assert time.monotonic() - begun < 2
    fake.faults.clear()
    taken, dead, _ = deliver(backend, entries)
    assert (sorted(taken), dead) == (sorted(entries), [])
    assert messages(fake) == sorted(MESSAGES)


@pytest.mark.parametrize("name", WEB)
def test_half_an_answer_is_none_where_it_has_to_be_read(name, start, lines):
    """Else the status alone says it."""
    fake, backend = start(name)
    entries = as_spans(name, lines(*MESSAGES))
    fake.faults.use("half answer", times=1)
    found = backend.send(entries, 5)

    assert (found.kind, found.why) == ((TAKEN, "") if name in SILENT else (AGAIN, "not understood"))
    deliver(backend, entries)
    assert messages(fake) == sorted(MESSAGES)


@pytest.mark.parametrize("name", [name for name in WEB if name != "otlp"])
def test_poison_costs_one_event(name, start, lines):
    """The others are all there, whoever finds it."""
    fake, backend = start(name)
    fake.faults.poison = "p0ison"
    entries = as_spans(name, lines(*MESSAGES, "p0ison", *MESSAGES))
    taken, dead, lost = deliver(backend, entries)

    assert (dead, lost, len(taken)) == ([entries[5]], 0, 10)
    assert set(messages(fake)) == set(MESSAGES)


@pytest.mark.parametrize("name", WEB)
def test_a_secret_that_changes_is_read_anew(name, start, lines):
    """What waited during the change goes out with the new one."""
    fake, backend = start(name)
    entries = as_spans(name, lines("one"))
    old = fake.secret
    fake.rotate()
    fake.token_file.write_text(old)
    found = backend.send(entries, 5)
    assert (found.kind, found.why) in [(AGAIN, "status 401"), (AGAIN, "status 403")]
    fake.token_file.write_text(fake.secret)
    assert backend.send(entries, 5).kind == TAKEN
    fake.token_file.unlink()
    found = backend.send(entries, 5)

    assert (found.kind, found.why) == (AGAIN, "no credential")
    assert str(fake.token_file) in found.answer


@pytest.mark.parametrize("name", WEB)
def test_what_the_server_says_is_kept_without_our_secret(name, start, lines):
    """Even if it says our own secret."""
    fake, backend = start(name)
    refusal = fake.product.refusal

    def telling(status, request=None):
        reply = refusal(status, request)
        reply.body = f"not by {fake.secret} nor {request.headers['authorization']}\n".encode()
        return reply

    fake.product.refusal = telling
    fake.faults.use("413")
    found = backend.send(as_spans(name, lines("one")), 5)

    assert found.answer.startswith("not by *** nor ")
    assert fake.secret not in repr(found)


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_none_of_ours_are_taken_too(name, start, lines):
    """A line break inside, no JSON, no time, bytes that are no text: each becomes an event."""
    fake, backend = start(name)
    bodies = [
        b'{"timestamp":"yesterday","level":"info","message":"when"}',
        b'{"level":"info","message":"timeless"}',
        b'{"timestamp":12,"level":"info","message":"number"}',
        b"[1,2]",
        b"plain words",
        b"\xff\xfe",
        b'{"level":"info","message":"broken"\n}',
    ]
    entries = [one._replace(body=body) for one, body in zip(lines(*"abcdefg"), bodies, strict=True)]
    found = backend.send(entries, 5)

    assert (found.kind, found.items) == (TAKEN, ())
    stored = messages(fake, 7)
    assert {"when", "timeless", "number", "[1,2]", "plain words", "broken"} <= set(stored)
    assert len(stored) == 7


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_fork_and_a_close_cost_a_connection_only(name, start, lines):
    """The next batch goes by another one; the parent's is not closed by the child."""
    fake, backend = start(name)
    for number, end in enumerate((backend.forget, backend.close, backend.close)):
        assert backend.send(as_spans(name, lines(f"m{number}")), 5).kind == TAKEN
        end()

    assert messages(fake, 3) == ["m0", "m1", "m2"]


def test_a_connection_of_the_parent_is_left_open(start, lines):
    """The child forgets it, and the parent goes on with it."""
    fake, backend = start("loki")
    backend.send(lines("one"), 5)
    child = os.fork()
    if child == 0:
        backend.forget()
        os._exit(0)
    os.waitpid(child, 0)
    backend.send(lines("two"), 5)

    assert messages(fake) == ["one", "two"]
    assert fake.server.listener.connections == 1


@pytest.mark.parametrize("name", WEB)
def test_bodies_are_compressed_unless_that_is_switched_off(name, start, lines):
    """`gzip=0` sends them as they are."""
    for options, encoding in (("", "gzip"), ("&gzip=0", None)):
        fake, backend = start(name, options)
        backend.send(as_spans(name, lines("long " * 500)), 5)
        assert fake.requests[0].headers.get("content-encoding") == encoding
        assert len(fake.stored) == 1


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_backend_says_what_it_promises(name):
    """Its limits, what being taken means, and where it sends, without any secret."""
    with Fake(name) as fake:
        backend = backends.open(target.parse(fake.url), {})
        assert backend.kind == ("span" if name == "zipkin" else "line")
        best_effort = name.endswith(("tcp", "udp"))
        assert backend.promise.startswith("best effort" if best_effort else "acknowledged")
        assert backend.most_entries >= 500
        assert backend.most_bytes >= 64 * 1024
        assert backend.url == f"{fake.url.partition('?')[0]}"


def test_a_backend_is_imported_when_it_is_chosen(start_process):
    """The others are not."""
    code = (
        "import sys; from obskit.shipping import backends, target;"
        "backends.open(target.parse('file:///tmp/none.log'), {});"
        "print(sorted(m.rpartition('.')[2] for m in sys.modules if 'shipping.backends.' in m))"
    )
    import sys

    out = start_process(sys.executable, "-c", code).wait()
    assert out.stdout.decode().strip() == "['file', 'lines']"
