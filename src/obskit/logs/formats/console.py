"""Show lines to people: time, level, message, who said it, and what matters of the rest."""

from __future__ import annotations

def render(line): return str(line) + "\n"
