"""The table of all settings, and the page made from it."""

import pytest

from obskit.settings import FIELDS, Settings, default_text, environment_name, parsed
from tests.source import ROOT

PAGE = ROOT / "docs" / "reference" / "settings.md"


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_says_what_it_means(name):
    """A setting has a meaning in one sentence, and a default that people can read."""
    meaning = FIELDS[name].meaning

    assert meaning[0].isupper() or meaning[0] == "`"
    assert not meaning.endswith(".")
    assert default_text(name)
    assert environment_name(name) == f"OBSKIT_{name.upper()}"


@pytest.mark.parametrize("name", FIELDS)
def test_each_default_is_an_allowed_value(name):
    """What is in force without a word can also be asked for."""
    default = getattr(Settings(), name)

    if default not in ("", ()):
        assert parsed(name, "off" if default is None else default) == default


def test_settings_cannot_be_changed_in_use():
    """Whoever holds settings holds them for good."""
    with pytest.raises(AttributeError):
        Settings().service = "other"  # type: ignore[misc]


def test_other_settings_are_made_of_those_in_force():
    """What is not named stays as it is, and the old ones do, too."""
    old = Settings(service="shop", version="1")
    new = old.but(version="2")

    assert (old.service, old.version) == ("shop", "1")
    assert (new.service, new.version, new.log_level) == ("shop", "2", "INFO")


def test_a_setting_that_does_not_exist_cannot_be_made():
    """A slip of the pen is found at once."""
    with pytest.raises(TypeError, match="no setting 'servcie'"):
        Settings(servcie="shop")


def test_the_reference_page_is_the_table():
    """The page on settings has one row for each, with its default and meaning."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `OBSKIT_")]

    assert rows == [
        f"| `{environment_name(name)}` | {default_text(name)} | {item.meaning} |"
        for name, item in FIELDS.items()
        if not item.hidden
    ]
