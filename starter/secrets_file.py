"""Changing the file of hook secrets: in place, comments and all, for its owner's eyes alone, and never half."""

import contextlib
import copy
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from starter.hook_settings import SECRETS_VARIABLE, HookSettingError, ensure, read

Place = tuple[str, ...]
"""Keys from the top: `("sources", "support", "secrets")`."""


def file_of(state: Path) -> Path:
    """Where the secrets of this installation are: `$PACTKEEPER_HOOK_SECRETS_FILE`, else in the state folder."""
    named = os.environ.get(SECRETS_VARIABLE, "").strip()
    return Path(named) if named else state / "hook-secrets.yaml"


def made(state: Path, customers: Sequence[str]) -> Path:
    """The file, which is made as at a first start where there is none.

    Raises:
        HookSettingError: it can't be made, or can't be used as it is.
    """
    file = file_of(state)
    try:
        if not file.exists() and os.environ.get(SECRETS_VARIABLE, "").strip():
            _replace(file, "")
        ensure(state, list(customers), [])
    except OSError as error:
        raise HookSettingError(f"{file} can't be written ({error.strerror}); check the folder's rights") from None
    return file


def change(file: Path, puts: Sequence[tuple[Place, Any]]) -> None:
    """Put values at places; a list takes its new items before those it has, whatever else is there is replaced.

    The text around stays as it is, comments too. Where it is written in a way that no line can be added to, the file is
    written anew, and its comments are lost.

    Raises:
        HookSettingError: it can't be read or written, or would not be usable afterwards; then it is as it was.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        value = yaml.safe_load(before) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise HookSettingError(f"{file} can't be read; check its rights, and that it is YAML") from None
    if not isinstance(value, dict):
        raise HookSettingError(f"{file} holds no `name: value` lines; write `sources:` and the like")
    wanted, text = copy.deepcopy(value), before
    for place, new in puts:
        _set(wanted, place, new)
    with contextlib.suppress(yaml.YAMLError):
        for place, new in puts:
            text = _edited(text, place, new)
    if _loaded(text) != wanted:
        text = yaml.safe_dump(wanted, sort_keys=False)
    _write(file, text)


def at(file: Path, place: Place) -> Any:
    """What stands there; None: nothing, or the file can't be read."""
    try:
        value = _loaded(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def drop_last(file: Path, place: Place) -> int:
    """Take the last item, which is the oldest, out of a list; how many are left. The last one stays.

    Raises:
        HookSettingError: as `change`; or there is but one.
    """
    value = at(file, place)
    if not isinstance(value, list) or len(value) < 2:
        raise HookSettingError(
            f"{'.'.join(place)} has no secret to spare; add one first with `pactkeeper connect rotate`"
        )
    whole = yaml.safe_load(file.read_text(encoding="utf-8"))
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value[:-1]
    text = _without_last(file.read_text(encoding="utf-8"), place)
    _write(file, text if _loaded(text) == whole else yaml.safe_dump(whole, sort_keys=False))
    return len(value) - 1


def _set(whole: dict[str, Any], place: Place, new: Any) -> None:
    inner = whole
    for key in place[:-1]:
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    old = inner.get(place[-1])
    inner[place[-1]] = [*new, *old] if isinstance(new, list) and isinstance(old, list) else new


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _edited(text: str, place: Place, new: Any) -> str:
    """The text with a value put in; what comes of a text that is written otherwise than foreseen, the caller finds out."""
    node, name, flowing = yaml.compose(text, yaml.SafeLoader), None, False
    if node is None:
        return f"{text.rstrip()}\n{_lines(place, new, 0)}".lstrip("\n")
    for depth, key in enumerate(place):
        if name is not None and isinstance(node, yaml.ScalarNode) and not node.value:
            at = text.find("\n", name.end_mark.index) + 1 or len(text)
            return text[:at].rstrip("\n") + "\n" + _lines(place[depth:], new, name.start_mark.column + 2) + text[at:]
        if name is not None and isinstance(node, yaml.MappingNode) and not (node.value or flowing):
            text = text[: name.end_mark.index + 1] + text[node.end_mark.index :]
            return _edited(text, place, new)
        if not isinstance(node, yaml.MappingNode):
            return text
        found = next((pair for pair in node.value if pair[0].value == key), None)
        if found is None:
            return _into(text, node, place[depth:], new)
        flowing = node.flow_style
        name, node = found
    assert name is not None
    if isinstance(node, yaml.SequenceNode) and isinstance(new, list) and node.value:
        return _before(text, node, new)
    # A value that is empty ends where it begins; a list or mapping in lines ends after the blank lines below it.
    inner = " " + flow(new)
    return text[: name.end_mark.index + 1] + inner + text[max(node.end_mark.index, name.end_mark.index + 1) :]


def _into(text: str, node: yaml.MappingNode, place: Place, new: Any) -> str:
    """The text with new keys first in a mapping (at its end where it is the whole file)."""
    if node.flow_style:
        inner: Any = new
        for key in reversed(place[1:]):
            inner = {key: inner}
        at = node.start_mark.index + 1
        return f"{text[:at]}{flow({place[0]: inner})[1:-1]}{', ' if node.value else ''}{text[at:]}"
    first = node.value[0][0]
    lines = _lines(place, new, first.start_mark.column)
    if first.start_mark.column == 0:
        return f"{text.rstrip()}\n{lines}"
    at = text.rfind("\n", 0, first.start_mark.index) + 1
    while at and text[:at].rstrip(" \n").rpartition("\n")[2].lstrip().startswith("#"):
        at = text.rstrip("\n").rfind("\n", 0, at - 1) + 1
    return text[:at] + lines + text[at:]


def _before(text: str, node: yaml.SequenceNode, new: list[Any]) -> str:
    if node.flow_style:
        at = node.start_mark.index + 1
        return f"{text[:at]}{flow(new)[1:-1]}, {text[at:]}"
    column = node.start_mark.column
    at = text.rfind("\n", 0, node.start_mark.index) + 1
    return text[:at] + "".join(f"{' ' * column}- {flow(one)}\n" for one in new) + text[at:]


def _without_last(text: str, place: Place) -> str:
    node = yaml.compose(text, yaml.SafeLoader)
    for key in place:
        assert isinstance(node, yaml.MappingNode)
        node = next(value for name, value in node.value if name.value == key)
    assert isinstance(node, yaml.SequenceNode)
    before, last = node.value[-2], node.value[-1]
    if node.flow_style:
        return text[: before.end_mark.index] + text[last.end_mark.index :]
    start = text.rfind("\n", 0, last.start_mark.index) + 1
    end = text.find("\n", last.end_mark.index) + 1 or len(text)
    return text[:start] + text[end:]


def _lines(place: Place, new: Any, column: int) -> str:
    """`sources:`, `  support:`, `    secrets: […]`: new keys, a line each."""
    made = [f"{' ' * (column + 2 * depth)}{flow(key)}:" for depth, key in enumerate(place)]
    return "\n".join(made) + f" {flow(new)}\n"


def flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("\n")


def _write(file: Path, text: str) -> None:
    """Write the file whole, once what it would say has been read as the web intake reads it."""
    try:
        _replace(file, text, check=True)
    except OSError as error:
        raise HookSettingError(
            f"{file} can't be written ({error.strerror}); check its rights and its folder's"
        ) from None


def _replace(file: Path, text: str, *, check: bool = False) -> None:
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".hook-secrets-")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if check:
            try:
                read(fresh)
            except HookSettingError as error:
                raise HookSettingError(str(error).replace(str(fresh), str(file))) from None
        with contextlib.suppress(OSError):  # The web intake may run as another user than whoever connects.
            owner = file.stat()
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
