"""The Elastic Common Schema."""

from obskit.schemas import ecs
from tests.schemas.records import FULL, WARNING

ENCODED = ecs.encode(FULL)


def test_a_summary_line_is_what_kibana_expects():
    """The first three in their order, then ECS's names, ours, and labels."""
    assert list(ENCODED)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]
    assert ENCODED["http"] == {"request": {"method": "GET"}, "response": {"status_code": 503}}
    assert ENCODED["event"] == {"duration": 12_345_000, "outcome": "failure"}
    assert ENCODED["error"]["type"] == "ValueError"
    assert ENCODED["obskit"]["outcome"] == "server_error"
    assert ENCODED["labels"] == {"order_id": "CD-7", "paid": True, "total": 9.5, "nothing": None}
    assert ENCODED["obskit"]["objects"] == {"cart": {"items": [1]}}


def test_the_place_of_a_warning_is_its_origin():
    """File and line apart."""
    assert ecs.encode(WARNING)["log"]["origin"] == {"file": {"name": "shop/cart.py", "line": 12}}


def test_names_that_no_label_may_have_are_replaced_and_told():
    """Nothing is lost where two become one."""
    found = ecs.encode(FULL | {"a.b": 1, "a_b": 2, "log": 3, "": 4, "o": {"": 1}})

    assert (
        found["labels"] | {"a_b": 2, "a_b_": 1, "log": 3, "_": 4, "o": '{"":1}'} == found["labels"]
    )
    assert found["obskit"]["renamed"] == ["a_b_", "a.b", "_", ""]
    assert found["obskit"]["json"] == ["o"]


def test_dotted_names_are_read_too():
    """Some collectors make all of them dotted."""
    dotted = {}

    def flatten(found, path):
        for name, value in found.items():
            if isinstance(value, dict) and (*path, name) != ("obskit", "objects"):
                flatten(value, (*path, name))
            else:
                dotted[".".join((*path, name))] = value

    flatten(ENCODED, ())
    assert ecs.decode(dotted) == FULL
