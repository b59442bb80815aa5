"""The JSON Schemas of the policy files, made from the models: `python -m records.policy_schemas` writes them."""

import ast
import inspect
import json
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from records.shelf import MODELS, Kind, default_root, shown

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: Kind) -> str:
    """The schema of one kind of file, as its own file holds it, with what our docstrings say of each field."""
    root = MODELS[kind]
    made: dict[str, Any] = {"$schema": DIALECT, **_tidy(root.model_json_schema(mode="validation"))}
    for model in _models(root):
        described = made if model is root else made["$defs"].get(model.__name__, {})
        for name, text in _field_docs(model).items():
            described.get("properties", {}).get(name, {}).setdefault("description", text)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def stale(root: Path) -> list[Path]:
    """The schema files below a shelf's root that are missing or not what the models say now."""
    return [
        path for kind, path in _files(root) if not path.is_file() or path.read_text(encoding="utf-8") != schema(kind)
    ]


def write(root: Path) -> list[Path]:
    """Writes the schema files that are stale, and names them."""
    old = stale(root)
    for kind, path in _files(root):
        if path in old:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(schema(kind), encoding="utf-8")
    return old


def _files(root: Path) -> list[tuple[Kind, Path]]:
    return [(kind, root / "schemas" / f"{kind}.schema.json") for kind in MODELS]


def _models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and every model within it."""
    found, ahead = {root}, [field.annotation for field in root.model_fields.values()]
    while ahead:
        kind = ahead.pop()
        ahead += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
            found.add(kind)
            ahead += [field.annotation for field in kind.model_fields.values()]
    return found


def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand below a model's fields."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _tidy(part: Any) -> Any:
    """Without the titles that pydantic makes of field names; descriptions in one paragraph, as an editor shows them."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {key: _tidy(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    if isinstance(said := made.get("description"), str):
        made["description"] = " ".join(said.partition("\n\n")[0].split())
    return made


if __name__ == "__main__":
    for path in write(default_root()):
        sys.stdout.write(f"wrote {shown(path)}\n")
