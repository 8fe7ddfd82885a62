"""Name the errors that users may catch."""

from __future__ import annotations


class ObskitError(Exception):
    """Any error that obskit raises on purpose."""


class SettingError(ObskitError, ValueError):
    """A setting has a value that is not allowed; the message says which are."""


class UnknownInstrumentation(ObskitError, LookupError):
    """A name given to instrument() or OBSKIT_INSTRUMENT is in no catalog."""
