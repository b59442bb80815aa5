"""The import rule of the house: one way, a floor at a time, and `sla` alone with itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("sla", "records", "activities", "workflows", "worker", "starter")
"""From the ground up. A floor imports its own and those below it."""
OUTSIDE = ("tests", "benchmarks", "docs", "deploy")
"""Ours too, and nothing that runs may need them."""
IMPURE = frozenset(
    """temporalio httpx requests fastapi starlette uvicorn sqlalchemy alembic aiosqlite psycopg typer rich structlog
    os sys io pathlib tempfile shutil glob socket ssl subprocess sqlite3 urllib http smtplib asyncio threading multiprocessing
    concurrent time random secrets logging signal""".split()  # noqa: SIM905 - a list would fill the page
)
CALENDAR_ONLY = frozenset({"holidays", "zoneinfo", "tzdata", "importlib"})
NOW = frozenset({"now", "utcnow", "today"})


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Each line of a file that imports, with the full name of what it imports; relative and dynamic ones too."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package[: len(package) - level + 1] if level else ()
                base = ".".join([*above, *([module] if module else [])])
                yield from ((node.lineno, f"{base}.{name.name}") for name in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def faults(root: Path) -> list[str]:
    """Every breach of the rule below `root`, one sentence each; a floor that is not built yet breaks nothing."""
    found = []
    callers = set()
    for height, floor in enumerate(FLOORS):
        for path in sorted((root / floor).rglob("*.py")):
            where = path.relative_to(root)
            for line, name in imports(path, root):
                top = name.split(".")[0]
                if top in FLOORS[height + 1 :]:
                    found.append(f"{where}:{line}: {floor} looks up to {name}")
                if top in OUTSIDE:
                    found.append(f"{where}:{line}: what runs needs {name}, which is not shipped")
                if where.parts[:2] == ("starter", "intake") and not _adapter_may(where.stem, name):
                    found.append(f"{where}:{line}: an adapter imports {name}; it knows sla alone")
                if top == "httpx":
                    callers.add(str(where))
                if floor == "sla":
                    found += _impurity(where, line, top)
            if floor == "sla":
                found += _clocks(where, path)
    if len(callers) > 1:
        found.append(f"httpx is imported in {len(callers)} modules ({', '.join(sorted(callers))}); one is allowed")
    return found


def _adapter_may(own: str, name: str) -> bool:
    """It knows `sla`, and what was taken out of its own file: `jira_issue` of `jira`, `mail_text` of `mail` and `mail_head`."""
    top, family = name.split(".", maxsplit=1)[0], own.partition("_")[0]
    return top not in FLOORS or top == "sla" or name.startswith((f"starter.intake.{own}_", f"starter.intake.{family}_"))


def _impurity(where: Path, line: int, top: str) -> Iterator[str]:
    if top in IMPURE:
        yield f"{where}:{line}: sla imports {top}; it is pure"
    if top in CALENDAR_ONLY and where.name != "calendar.py":
        yield f"{where}:{line}: sla imports {top}; only sla/calendar.py may"


def _clocks(where: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in NOW:
                yield f"{where}:{node.lineno}: sla calls {name}(); it takes the time as an argument"
            case ast.Call(func=ast.Name(id="open" | "print" | "input" as name)):
                yield f"{where}:{node.lineno}: sla calls {name}(); it touches nothing outside"


def test_imports_run_one_way_and_sla_is_pure() -> None:
    """DESIGN: `starter` → `worker` → `workflows` → `activities` → `records` → `sla`, and never up."""
    assert faults(ROOT) == []


def test_every_floor_is_there() -> None:
    """The rule cannot be met by files that are not looked at."""
    assert [floor for floor in FLOORS if not list((ROOT / floor).rglob("*.py"))] == []


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("records/store.py", "from activities.mail import send\n", "looks up"),
        ("sla/policy.py", "import records.models\n", "looks up"),
        ("activities/page.py", "if True:\n    def f():\n        import workflows.incident\n", "looks up"),
        ("worker/build.py", "from starter import cli\n", "looks up"),
        ("workflows/incident.py", "import importlib\nimportlib.import_module('starter.web')\n", "looks up"),
        ("starter/web.py", "from tests.receivers import Receiver\n", "not shipped"),
        ("starter/intake/zendesk.py", "from starter.web import app\n", "knows sla alone"),
        ("starter/intake/zendesk.py", "from .generic import read\n", "knows sla alone"),
        ("starter/intake/zendesk.py", "from starter.intake.zammad_article import read\n", "knows sla alone"),
        ("starter/intake/zendesk.py", "from . import generic\n", "knows sla alone"),
        ("starter/intake/zendesk.py", "from records.models import Notice\n", "knows sla alone"),
        ("sla/clock.py", "import temporalio.workflow\n", "pure"),
        ("sla/clock.py", "from pathlib import Path\n", "pure"),
        ("sla/calendar.py", "import random\n", "pure"),
        ("sla/clock.py", "from zoneinfo import ZoneInfo\n", "only sla/calendar.py"),
        ("sla/clock.py", "import holidays\n", "only sla/calendar.py"),
        ("sla/calendar.py", "from datetime import UTC, datetime\nt = datetime.now(UTC)\n", "as an argument"),
        ("sla/policy.py", "text = open('policy.yaml').read()\n", "nothing outside"),
        ("starter/web.py", "import httpx\n", "one is allowed"),
    ],
)
def test_the_rule_notices(tmp_path: Path, file: str, code: str, said: str) -> None:
    """Each kind of breach, put into a tree that keeps the rule, is told once, and with its file."""
    _tree_that_keeps_the_rule(tmp_path)
    assert faults(tmp_path) == []
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    (told,) = faults(tmp_path)
    assert said in told
    assert file in told


def _tree_that_keeps_the_rule(root: Path) -> None:
    lawful = {
        "sla/calendar.py": "import holidays\nfrom zoneinfo import ZoneInfo\nimport pydantic\n",
        "sla/evaluate.py": "from sla.calendar import BusinessCalendar\n",
        "records/models.py": "import sqlalchemy\nfrom sla.events import Event\n",
        "activities/http.py": "import httpx\nfrom records.models import Notice\n",
        "workflows/incident.py": "from temporalio import workflow\nfrom sla.evaluate import evaluate\n",
        "worker/build.py": "from workflows import WORKFLOWS\nfrom activities import ACTIVITIES\n",
        "starter/web.py": "from starter.intake import generic\nfrom worker.build import build_worker\n",
        "starter/intake/generic.py": "from sla.events import Delivery\n",
    }
    for name, code in lawful.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
