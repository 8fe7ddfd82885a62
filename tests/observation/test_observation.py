"""The room as others see it."""

import obskit.observation


def test_every_name_is_there_once():
    """What the room announces can be imported from it."""
    names = obskit.observation.__all__

    assert sorted(names) == sorted(set(names))
    assert all(hasattr(obskit.observation, name) for name in names)
