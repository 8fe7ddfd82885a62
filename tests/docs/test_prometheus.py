"""The page on Prometheus: what it shows is understood by Prometheus, and names what exists."""

import json
import re

import pytest
import yaml

from obskit.fields import METRICS
from tests.docs.pages import blocks
from tests.source import ROOT

PAGE = ROOT / "docs" / "how-to" / "prometheus.md"
SUFFIXES = ("_bucket", "_count", "_sum")
NAME = re.compile(r"\b(?:http|obskit|task|operation)_[a-z_]+\b")
LABELS = re.compile(r"(\w+)(?:=~|!=|!~|=)\"")
