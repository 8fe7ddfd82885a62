"""Read the lines of an operation from wherever they are, and tell what caused what.

`read` yields lines, `tell` makes a `Story` of those of one operation, and it is written as
text, JSON or a log for ShiViz. The order is that of the causal clock; no timestamp is asked.
`hops` looks at all operations: on which edges between services their IDs get lost.
"""

from __future__ import annotations

from obskit.story.hops import Hops, hops
from obskit.story.machine import render_json, render_shiviz
from obskit.story.reading import Counts, SourceError, read
from obskit.story.search import Ambiguous, Found, NotFound, failures, find
from obskit.story.telling import Story, tell
from obskit.story.text import render_text

__all__ = [
    "Ambiguous",
    "Counts",
    "Found",
    "Hops",
    "NotFound",
    "SourceError",
    "Story",
    "failures",
    "find",
    "hops",
    "read",
    "render_json",
    "render_shiviz",
    "render_text",
    "tell",
]
