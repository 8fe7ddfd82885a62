"""A variable that a setting names is read when it is needed."""

from obskit.settings.variable import variable


def test_a_variable_is_read_as_it_is_now(monkeypatch):
    """A token that is changed in the running process is used from then on; one not set is empty."""
    monkeypatch.setenv("SHOP_TOKEN", "one")
    assert variable("SHOP_TOKEN") == "one"
    monkeypatch.setenv("SHOP_TOKEN", "two")
    assert variable("SHOP_TOKEN") == "two"
    monkeypatch.delenv("SHOP_TOKEN")
    assert variable("SHOP_TOKEN") == ""
