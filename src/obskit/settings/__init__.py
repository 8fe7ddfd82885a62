"""List every setting, once; find out its value and where it came from."""

from obskit.settings.parse import FALSE, TRUE
from obskit.settings.program import LAUNCH, Launch, launch, program_name, stream_name
from obskit.settings.resolve import parsed, resolve
from obskit.settings.table import FIELDS, Settings, default_text, environment_name

__all__ = [
    "FALSE",
    "FIELDS",
    "LAUNCH",
    "TRUE",
    "Launch",
    "Settings",
    "default_text",
    "environment_name",
    "launch",
    "parsed",
    "program_name",
    "resolve",
    "stream_name",
]
