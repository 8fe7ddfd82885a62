"""Strict readers of other products' configuration, by the grammar that they document.

Each raises ValueError at what it does not know, so that a slip of the pen is a failed test.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from typing import Any, NamedTuple

Section = tuple[str, dict[str, str]]


class Block(NamedTuple):
    """A block of words in braces: its name, label, settings and the blocks within it."""

    name: str
    label: str
    settings: dict[str, Any]
    blocks: list["Block"]

    def all(self, name: str) -> Iterator["Block"]:
        """Yield this block and those within it that have a name."""
        if self.name == name:
            yield self
        for block in self.blocks:
            yield from block.all(name)


def classic(text: str) -> list[Section]:
    """Read Fluent Bit's classic format: sections in brackets, indented names and values."""
    found: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := re.fullmatch(r"\[([A-Z]+)\]", line):
            found.append((match[1], {}))
        elif found and (match := re.fullmatch(r" {4}([@\w.]+) +(\S.*?)", line)):
            name = match[1].lower()
            if name in found[-1][1]:
                raise ValueError(f"line {number}: {name} is there twice")
            found[-1][1][name] = match[2]
        else:
            raise ValueError(f"line {number}: {line!r}")
    return found


def stanzas(text: str) -> dict[str, dict[str, str]]:
    """Read Splunk's format: stanzas in brackets, names and values with an equals sign."""
    reader = ConfigParser(
        interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",),
        default_section="\0", allow_no_value=False, empty_lines_in_values=False,
    )  # fmt: skip
    reader.optionxform = str  # type: ignore[assignment, method-assign]
    # A stanza without a name is for everything; the reader knows none.
    reader.read_string(text.replace("[]\n", "[*]\n"))
    return {name: dict(reader[name]) for name in reader.sections()}


TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | //[^\n]*
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<selector>(?:\[@?[\w.-]+\])+)
    | (?P<regex>(?<=[=!]~\ )/(?:[^/\\]|\\.)+/)
    | (?P<word>[A-Za-z_][\w.]*)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<sign>=>|==|!=|=~|!~|<=|>=|[{}()\[\],=<>!])""",
    re.VERBOSE,
)


class Reader:
    """What is left of a text, word by word."""

    def __init__(self, text: str) -> None:
        self.words: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"not understood: {text[at : at + 40]!r}")
            if match.lastgroup:
                self.words.append((match.lastgroup, match[0]))
            at = match.end()
        self.words += [("end", "")] * 2

    @property
    def next(self) -> tuple[str, str]:
        """The kind and text of the next word."""
        return self.words[0]

    def take(self, *wanted: str) -> str:
        """Take the next word, which must be of a wanted kind or text."""
        kind, text = self.next
        if wanted and kind not in wanted and text not in wanted:
            raise ValueError(f"{text!r} where {' or '.join(wanted)} should be")
        del self.words[0]
        return text


def alloy(text: str) -> list[Block]:
    """Read Alloy's format: blocks with labels, settings with an equals sign."""
    reader = Reader(text)
    found = []
    while reader.next[0] != "end":
        found.append(_alloy_block(reader))
    return found


def _alloy_block(reader: Reader) -> Block:
    name = reader.take("word")
    label = reader.take("string").strip('"') if reader.next[0] == "string" else ""
    block = Block(name, label, {}, [])
    reader.take("{")
    while reader.next[1] != "}":
        if reader.words[1][1] == "=":
            word = reader.take("word")
            reader.take("=")
            if word in block.settings:
                raise ValueError(f"{word} is there twice")
            block.settings[word] = _alloy_value(reader)
        else:
            block.blocks.append(_alloy_block(reader))
    reader.take("}")
    return block


def _alloy_value(reader: Reader) -> Any:
    kind, word = reader.next
    if kind == "string":
        return reader.take().strip('"')
    if kind == "selector":
        return [reader.take().strip("[]")]
    if kind in ("number", "word"):
        return reader.take()
    if word == "[":
        reader.take("[")
        values = []
        while reader.next[1] != "]":
            values.append(_alloy_value(reader))
            if reader.next[1] != "]":
                reader.take(",")
        reader.take("]")
        return values
    reader.take("{")
    pairs: dict[str, Any] = {}
    while reader.next[1] != "}":
        name = reader.take("string", "word").strip('"')
        reader.take("=")
        pairs[name] = _alloy_value(reader)
        if reader.next[1] != "}":
            reader.take(",")
    reader.take("}")
    return pairs


def logstash(text: str) -> dict[str, list[Block]]:
    """Read a pipeline of Logstash: plugins with settings, and conditions around them."""
    reader = Reader(text)
    found: dict[str, list[Block]] = {}
    while reader.next[0] != "end":
        name = reader.take("input", "filter", "output")
        found.setdefault(name, []).extend(_branch(reader))
    return found


def _branch(reader: Reader) -> list[Block]:
    reader.take("{")
    found = []
    while reader.next[1] != "}":
        found.append(_condition(reader) if reader.next[1] == "if" else _plugin(reader))
    reader.take("}")
    return found


def _condition(reader: Reader) -> Block:
    words = [reader.take("if")]
    while reader.next[1] != "{":
        words.append(reader.take("string", "selector", "regex", "number", *CONDITION))
    return Block("if", " ".join(words), {}, _branch(reader))


CONDITION = ("!", "(", ")", "and", "or", "not", "in", "==", "!=", "=~", "!~", "<", ">", "<=", ">=")


def _plugin(reader: Reader) -> Block:
    block = Block(reader.take("word"), "", {}, [])
    reader.take("{")
    while reader.next[1] != "}":
        name = reader.take("word")
        reader.take("=>")
        if name in block.settings:
            raise ValueError(f"{name} is there twice")
        block.settings[name] = _setting(reader)
    reader.take("}")
    return block


def _setting(reader: Reader) -> Any:
    kind, word = reader.next
    if kind == "word" and reader.words[1][1] == "{":
        return _plugin(reader)
    if kind in ("string", "word", "number"):
        return reader.take().strip("\"'")
    if kind == "selector":
        return [reader.take().strip("[]")]
    if word == "[":
        reader.take("[")
        values = []
        while reader.next[1] != "]":
            values.append(_setting(reader))
            if reader.next[1] != "]":
                reader.take(",")
        reader.take("]")
        return values
    raise ValueError(f"{word!r} where a value should be")
