"""What is wrong with a policy file, in sentences: where, what stands there, what is allowed."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from records.yaml_lines import Document, Path

HINTS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "letters, digits, `_`, `.`, `-`, at most 64, a letter or digit first",
    r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,79}$": "letters, digits, `_`, `.`, `@`, `-`, at most 80, a letter or digit first",
    r"^[A-Za-z0-9_.:-]{1,200}$": "letters, digits, `_`, `.`, `:`, `-`, such as cus_9s6XKzkNRiz8i3",
    r"^[A-Z][A-Z0-9]*[0-9]{2}$": "the id of a clause, such as T06",
    r"^[a-z]{2,3}$": "the code of a language, such as en",
    r"^[^@\s]+@[^@\s]+$": "an e-mail address, such as ann@acme.example",
}
_QUOTED = re.compile(r"(?P<quote>['\"`])(?P<text>.*?)(?P=quote) is (?P<rest>.*)", re.DOTALL)
_VALUE = re.compile(r'("[^"]*"|[^\s"]+); write ')
_NAMES = re.compile(r"(?:names|is|to) (['\"])(.*?)\1")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong in one file; `line` counts from 1."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


def faults(file: str, document: Document, model: type[BaseModel], error: ValidationError) -> tuple[Fault, ...]:
    """What a model refused in a document, one sentence each, in the order of the lines."""
    found = dict.fromkeys(_fault(file, document, model, detail) for detail in error.errors(include_url=False))
    return tuple(sorted(found))


def first_fault(document: Document, model: type[BaseModel], error: ValidationError) -> tuple[Path, str]:
    """The first thing that a model refused in a document that is no file: where, and one sentence."""
    detail = error.errors(include_url=False)[0]
    path = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "value_error":
        return _own_words(document, path, detail["ctx"]["error"])
    return path, _fault("", document, model, detail).sentence


def refused(file: str, document: Document, path: Path, error: Exception) -> Fault:
    """What one of our own checks said of the part at a path."""
    path, sentence = _own_words(document, path, error)
    return Fault(file, document.line(path), sentence)


def _fault(file: str, document: Document, model: type[BaseModel], detail: ErrorDetails) -> Fault:
    kind, path = detail["type"], tuple(p for p in detail["loc"] if p != "[key]")
    a_key = "[key]" in detail["loc"]
    if kind == "value_error":
        return refused(file, document, path, detail["ctx"]["error"])
    where, shown = dotted(path), show(document.at(path))
    match kind:
        case "missing":
            inside = dotted(path[:-1])
            sentence = f"{where} is missing; write `{path[-1]}:`" + (f" in {inside}" if len(path) > 1 else "")
        case "extra_forbidden":
            sentence = f"{where} is no known field; {_suggest(str(path[-1]), _fields(model, path[:-1]))}"
        case "literal_error" | "enum":
            allowed = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
            sentence = f"{where} is {'no known name' if a_key else shown}; {_suggest(str(detail['input']), allowed)}"
        case "string_pattern_mismatch":
            hint = HINTS.get(str(detail["ctx"]["pattern"]), f"a text that matches {detail['ctx']['pattern']}")
            sentence = f"{where} is not well named; write {hint}" if a_key else f"{where} is {shown}; write {hint}"
        case _:
            sentence = f"{where} is {shown}; {_allowed(kind, detail, _fields(model, path), document.at(path))}"
    return Fault(file, document.line(path), sentence)


def _allowed(kind: str, detail: ErrorDetails, fields: list[str], value: Any) -> str:
    """What may stand there instead."""
    ctx = detail.get("ctx", {})
    if kind == "string_type":
        return f'put it in quotes: "{str(value).lower()}"' if isinstance(value, bool | int | float) else "write a text"
    if kind.startswith("bool"):
        return "write true or false"
    if kind.startswith(("int", "float")):
        return "write a whole number"
    if kind.startswith("date"):
        return "write a date, such as 2031-12-24"
    if kind in ("tuple_type", "list_type"):
        return (
            f"write a list, such as [{show(value)}]" if isinstance(value, str | int) else "write a list, such as [a, b]"
        )
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "write `name: value` lines below it" + (f", of: {', '.join(fields)}" if fields else "")
    bounds = {
        "greater_than_equal": ("ge", "write {} or more"),
        "less_than_equal": ("le", "write {} or less"),
        "string_too_long": ("max_length", "write at most {} characters"),
        "string_too_short": ("min_length", "write at least {} characters"),
    }
    if kind in bounds:
        name, text = bounds[kind]
        return text.format(ctx[name])
    said = detail["msg"]
    return said[0].lower() + said[1:]


def _own_words(document: Document, loc: Path, error: Exception) -> tuple[Path, str]:
    """The sentence of one of our own checks, put behind the path of what it speaks of."""
    said = str(error)
    path = document.nearest((*loc, *getattr(error, "where", ())))
    if match := _QUOTED.fullmatch(said):
        return path, f'{dotted(path)} is "{match["text"]}", {match["rest"]}'
    if _VALUE.match(said):
        return path, f"{dotted(path)} is {said}"
    head = tuple(said.partition(" ")[0].rstrip(":;,").split("."))
    for depth in range(len(loc), -1, -1):
        named = document.nearest((*loc[:depth], *head))
        if len(named) == depth + len(head):
            inner = _NAMES.search(said)
            precise = document.nearest((*named, inner[2])) if inner else named
            line = max(path, precise, key=len)
            return line, f"{dotted(loc[:depth])}.{said}" if depth else said
    return path, f"{dotted(path)}: {said}" if path else said


def dotted(path: Path) -> str:
    """A path as people read it, such as `clocks.response.targets.P2`."""
    return ".".join(map(str, path)) or "the file"


def show(value: Any) -> str:
    """A value as the file has it, short."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f'"{value}"' if len(value) <= 80 else f'"{value[:77]}…"'
    return str(value)


def _suggest(name: str, allowed: list[str]) -> str:
    near = get_close_matches(name, allowed, n=1, cutoff=0.6)
    if near and len(allowed) > 1:
        return f"did you mean {near[0]}? write one of: {', '.join(allowed)}"
    return f"write {'one of: ' if len(allowed) > 1 else ''}{', '.join(allowed)}" if allowed else "take it out"


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """The fields that may stand at a path of a model's document; none where it holds no model."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return list(kind.model_fields)
    return []


def _inside(kind: Any, part: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _open(field.annotation) if field else []
    origin, args = get_origin(kind), get_args(kind)
    if origin is dict:
        return _open(args[1])
    return _open(args[0]) if origin in (tuple, list) and args else []


def _open(kind: Any) -> list[Any]:
    """The kinds that an annotation stands for, without `Annotated`, `| None` and the like."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _open(get_args(kind)[0])
    if origin in (Union, UnionType):
        return [inner for arg in get_args(kind) for inner in _open(arg)]
    return [] if origin is Literal else [kind]
