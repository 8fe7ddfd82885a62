"""The errors that users may catch."""

import pytest

from obskit.errors import ObskitError, SettingError, UnknownInstrumentation


@pytest.mark.parametrize(
    ("kind", "builtin"), [(SettingError, ValueError), (UnknownInstrumentation, LookupError)]
)
def test_an_error_is_ours_and_of_a_known_kind(kind, builtin):
    """Who catches all of obskit's, or the built-in kind, catches it."""
    assert issubclass(kind, ObskitError)
    assert issubclass(kind, builtin)
    assert issubclass(ObskitError, Exception)
