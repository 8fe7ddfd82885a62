"""List every setting, once; find out its value and where it came from."""

from obskit.settings.parse import FALSE, TRUE, shown, signal_number
from obskit.settings.program import (
    FAMILY,
    LAUNCH,
    Launch,
    bequeath_family,
    bequeath_launch,
    colours,
    google_project,
    inherited_family,
    kubernetes,
    launch,
    program_name,
    state_folder,
    stream_name,
)
from obskit.settings.resolve import parsed, resolve
from obskit.settings.table import FIELDS, Settings, default_text, environment_name

__all__ = [
    "FALSE",
    "FAMILY",
    "FIELDS",
    "LAUNCH",
    "TRUE",
    "Launch",
    "Settings",
    "bequeath_family",
    "bequeath_launch",
    "colours",
    "default_text",
    "environment_name",
    "google_project",
    "inherited_family",
    "kubernetes",
    "launch",
    "parsed",
    "program_name",
    "resolve",
    "shown",
    "signal_number",
    "state_folder",
    "stream_name",
]
