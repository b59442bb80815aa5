"""YAML as people mean it, with the line of every value.

Only `true`/`false`, decimal numbers, `null` and text exist: `on`, `no`, `18:00`, `0644` and `2031-12-24` are the words
that stand there, as in YAML 1.2. A key that stands twice, a merge key, a tag and a cycle are refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: keys and places, counted from 0."""
MAX_VALUES = 50_000
MAX_CHARACTERS = 2_000_000
_TOO_DEEP = "the values are nested too deeply to be read; flatten them"


class YamlError(ValueError):
    """The text is no YAML that we take; `line` counts from 1."""

    def __init__(self, sentence: str, line: int) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """What the text says, as plain values, and where each of them stands."""

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a value (of its key, where it has one), or of the nearest part around it that is there."""
        return self.lines.get(self.nearest(path), 1)

    def nearest(self, path: Path) -> Path:
        """As much of a path as is there; a part may also be a list's item itself, or its place in words."""
        here: Path = ()
        for part in path:
            value = self.at(here)
            places: list[str | int] = [part]
            if isinstance(value, list):
                places = [
                    i for i, item in enumerate(value) if part in (i, str(i)) or (part == item and isinstance(item, str))
                ]
            below = next(((*here, place) for place in places if (*here, place) in self.lines), None)
            if below is None:
                return here
            here = below
        return here

    def at(self, path: Path) -> Any:
        """The value that stands there, or None."""
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


class _Reader(yaml.SafeLoader):
    """A YAML 1.2 reader of plain data."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


_Reader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Reader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Reader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+$"), list("-+0123456789")
)
_Reader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "bool", "int", "float", "null", "map", "seq")}


def read(text: str) -> Document:
    """The document of a text.

    Raises:
        YamlError: it can't be read, stands a key twice, or uses what we refuse; one sentence, and the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"the file has {len(text)} characters; at most {MAX_CHARACTERS} are read", 1)
    try:
        reader = _Reader(text)
        node = reader.get_single_node()
    except yaml.MarkedYAMLError as error:
        open_ended = "unexpected end of stream" in (error.problem or "")
        mark = (error.context_mark if open_ended else error.problem_mark) or error.problem_mark or error.context_mark
        raise YamlError(_syntax(error), mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"the character {chr(error.character)!r} can't stand in YAML; take it out", line) from None
    except RecursionError:
        raise YamlError(_TOO_DEEP, 1) from None
    if node is None:
        return Document(None, {(): 1})
    walk = _Walk()
    try:
        return Document(walk.value(node, (), node.start_mark.line + 1), walk.lines)
    except RecursionError:
        raise YamlError(_TOO_DEEP, 1) from None


def plain(value: Any) -> Document:
    """A document of plain values that stand in no file: all of it on one line."""
    lines, ahead = dict[Path, int](), list[tuple[Path, Any]]([((), value)])
    while ahead:
        path, here = ahead.pop()
        lines[path] = 1
        if isinstance(here, dict | list):
            below = here.items() if isinstance(here, dict) else enumerate(here)
            ahead += [((*path, part), inner) for part, inner in below]
    return Document(value, lines)


class _Walk:
    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.around: set[int] = set()

    def value(self, node: yaml.Node, path: Path, line: int) -> Any:
        self.lines[path] = line
        if len(self.lines) > MAX_VALUES:
            raise YamlError(f"the file holds more than {MAX_VALUES} values; at most that many are read", line)
        here = node.start_mark.line + 1
        if node.tag not in _PLAIN:
            raise YamlError(f"{_dotted(path)} has the tag {node.tag}; write plain values without a tag", here)
        if id(node) in self.around:
            raise YamlError(f"{_dotted(path)} holds itself by an alias; write the value out", line)
        self.around.add(id(node))
        try:
            return self._plain(node, path)
        finally:
            self.around.discard(id(node))

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i), item.start_mark.line + 1) for i, item in enumerate(node.value)]
        text, kind = str(node.value), node.tag.rpartition(":")[2]
        try:
            match kind:
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text)
                case "float":
                    return float(text)
                case "null":
                    return None
        except (ValueError, KeyError):
            raise YamlError(
                f"{_dotted(path)} is {text!r}, which is no {kind}; leave the tag out", node.start_mark.line + 1
            ) from None
        return text

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"{_dotted(path)} has a key that is no word; write `name: value`", line)
            name = str(key.value)
            if name == "<<" and key.style is None:
                raise YamlError(
                    "`<<` merges nothing here; write the values out, or name them with `&name` and `*name`", line
                )
            if name in made:
                first = self.lines[(*path, name)]
                raise YamlError(f"{_dotted((*path, name))} stands twice, first on line {first}; keep one of them", line)
            made[name] = self.value(item, (*path, name), line)
        return made


def _dotted(path: Path) -> str:
    return ".".join(map(str, path)) or "the file"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or "it breaks off").replace("<stream end>", "the end of the file")
    if "found character '\\t'" in problem or "'\\t'" in problem:
        return "a tab stands where only spaces may; indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a `:` stands where no value may begin; indent the line rightly, or put a text with `: ` in it in quotes"
    if "expected a single document" in (error.context or ""):
        return "a second document begins here; keep one document a file"
    if "undefined alias" in problem:
        return f"{problem}; name the value with `&` before"
    context = f" ({error.context})" if error.context else ""
    look = "look at the indentation, brackets and quotes of this line and the one before"
    return f"this is no YAML: {problem}{context}; {look}"
