import pytest

from tests.integrations.files import are_fields, yaml


def test_yaml_is_read_as_a_server_reads_it(shared_opensearch):
    """Texts, numbers, lists, blocks and comments come out as they are meant."""
    source = '# why\na.b: 1\nc: [x, "y"]\nd: |\n  e: f\n\n  g\nh:\n  - i: true\n'

    assert yaml(shared_opensearch, source) == {
        "a.b": 1, "c": ["x", "y"], "d": "e: f\n\ng\n", "h": [{"i": True}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "source", ["a: b: c\n", "a:\n\t- b\n", "a: [b\n", "a: 'b\n", "a: 1\na: 2\n"]
)
def test_yaml_that_is_none_is_refused(shared_opensearch, source):
    """The reader is a strict one."""
    with pytest.raises(AssertionError, match="_simulate"):
        yaml(shared_opensearch, source)


def test_an_unknown_field_is_named():
    """A slip in the name of a field fails the test, with the name."""
    are_fields(["lc", "@timestamp"])

    with pytest.raises(AssertionError, match="corelation_id"):
        are_fields(["lc", "corelation_id"])
