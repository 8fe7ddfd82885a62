"""Lines go to Humio by its structured API or the one that is like Splunk's."""

import pytest

from obskit.shipping.verdict import AGAIN, TAKEN

BOTH = ("humio", "humio hec")


@pytest.mark.parametrize("name", BOTH)
def test_an_event_has_the_fields_of_its_line(name, start, lines):
    """All of them, as they are."""
    fake, backend = start(name)
    backend.send(lines("one", order=7, price=1.5, tags=["a"], deep={"x": None}), 5)
    (event,) = fake.stored

    assert event["message"] == "one"
    assert (event["order"], event["price"], event["tags"]) == (7, 1.5, ["a"])
    assert event["deep"] == {"x": None}


@pytest.mark.parametrize("name", BOTH)
def test_service_and_env_are_tags(name, start, lines):
    """Events go together that have the same."""
    fake, backend = start(name)
    backend.send([*lines("one", "two"), *lines("three", env="test"), *lines("four", env=None)], 5)
    mark = "#" if name == "humio hec" else ""
    tags = [{one.removeprefix(mark): tag[one] for one in tag} for tag in fake.product.tags]

    expected = [
        {"service": "shop", "env": "prod"},
        {"service": "shop", "env": "test"},
        {"service": "shop"},
    ]
    assert tags == ([expected[0], *expected] if mark else expected)


@pytest.mark.parametrize(
    ("option", "tags"), [("none", {}), ("level,pid", {"level": "info", "pid": "7"})]
)
def test_other_fields_can_be_the_tags(option, tags, start, lines):
    """Or none; a tag is always text."""
    fake, backend = start("humio", f"&tags={option}")
    backend.send(lines("one"), 5)

    assert fake.product.tags == [tags]


def test_the_microseconds_are_beside_the_time(start, lines):
    """It has milliseconds only, and the rest of it is in nanoseconds."""
    fake, backend = start("humio hec", "&index=shop&sourcetype=json")
    (entry,) = lines("one", timestamp="2026-11-25T17:18:02.123456Z")
    backend.send([entry], 5)
    sent = fake.requests[0].body

    assert sent.startswith(b'{"time":1795627082.123,')
    assert b'"@timestamp.nanos":"456000"' in sent
    assert b'"index":"shop","sourcetype":"json"' in sent
    assert sent.endswith(entry.body + b"}")


@pytest.mark.parametrize("name", BOTH)
def test_a_success_that_is_not_200_is_none(name, start, lines):
    """200 alone means that it is committed."""
    fake, backend = start(name)
    fake.faults.use("partial", times=1)
    found = backend.send(lines("one"), 5)

    assert (found.kind, found.why, found.answer) == (AGAIN, "status 207", "some of it")
    assert backend.send(lines("one"), 5).kind == TAKEN


@pytest.mark.parametrize("name", BOTH)
def test_the_whole_address_may_be_given(name, start, lines):
    """As the product's pages show it."""
    from obskit.shipping import backends, target

    fake, _ = start(name)
    whole = fake.url.replace("?", f"{fake.product.path}?")
    backend = backends.open(target.parse(whole), {})
    assert backend.send(lines("one"), 5).kind == TAKEN
    backend.close()
