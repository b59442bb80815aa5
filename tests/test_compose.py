"""The compose file, as the real Compose understands it, and the secrets that it is given."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.fill_env import filled

ROOT = Path(__file__).resolve().parent.parent


def test_each_gap_in_the_example_is_filled_with_a_secret_of_its_own() -> None:
    """.env.example holds no secret, and a filled one no gap."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert {name for name, value in given.items() if not value} == {
        name for name in given if "PASSWORD" in name or "SECRET" in name
    }
    numbers = iter(range(100))
    full = filled(example, lambda: f"secret{next(numbers)}")
    values = [line.split("=", 1)[1] for line in full.splitlines() if line and not line.startswith("#")]
    assert all(values)
    assert len([value for value in values if value.startswith("secret")]) == len(set(values) - set(given.values()))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """docker-compose.yml as the real Compose understands it."""
    env = tmp_path_factory.mktemp("compose") / "env"
    env.write_text(
        filled((ROOT / ".env.example").read_text(encoding="utf-8"), lambda: os.urandom(12).hex()), encoding="utf-8"
    )
    services: dict[str, Any] = json.loads(_compose("--env-file", str(env), "config", "--format", "json"))["services"]
    return services


def test_compose_has_every_part_and_starts_them_in_order(composed: dict[str, Any]) -> None:
    """Schema before the server, the server before the namespace, that before our own set-up, all before worker and web."""
    done, healthy = "service_completed_successfully", "service_healthy"
    waits = {
        name: {on: how["condition"] for on, how in one.get("depends_on", {}).items()} for name, one in composed.items()
    }
    assert waits == {
        "postgresql": {},
        "temporal-schema": {"postgresql": healthy},
        "temporal": {"temporal-schema": done},
        "temporal-namespace": {"temporal": healthy},
        "temporal-admin-tools": {"temporal": healthy},
        "temporal-ui": {"temporal": healthy},
        "setup": {"postgresql": healthy, "temporal-namespace": done},
        "worker": {"setup": done},
        "web": {"setup": done},
    }


def test_compose_publishes_on_this_machine_only(composed: dict[str, Any]) -> None:
    """Temporal lets in whoever reaches it, so nobody from outside may."""
    ports = [port for one in composed.values() for port in one.get("ports", [])]
    assert len(ports) == 3
    assert {port.get("host_ip") for port in ports} == {"127.0.0.1"}


def test_compose_hardens_each_container_and_pins_each_image(composed: dict[str, Any]) -> None:
    """No new privileges, no capabilities but PostgreSQL's own, nothing to write on but volumes; a version, never `latest`."""
    for name, one in composed.items():
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["read_only"] is True, name
        assert name == "postgresql" or "cap_add" not in one, name
        assert re.search(r":\d+(\.\d+)*$", one["image"]), name


def test_compose_watches_all_that_runs_on(composed: dict[str, Any]) -> None:
    """A service has a health check and comes back; a job ends."""
    jobs = {name for name, one in composed.items() if one["restart"] == "on-failure:5"}
    assert jobs == {"temporal-schema", "temporal-namespace", "setup"}
    assert {name for name, one in composed.items() if "healthcheck" not in one} == jobs


def test_compose_holds_no_secret_and_keeps_data_in_named_volumes(composed: dict[str, Any]) -> None:
    """A password comes from outside or the file refuses; data survives `down`."""
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    given = [pair for one in raw["services"].values() for pair in one.get("environment", {}).items()]
    secret = [(name, value) for name, value in given if re.search(r"PASSWORD|PWD|SECRET|SMTP_URL", name)]
    assert len(secret) >= 6
    assert [name for name, value in secret if not value.startswith("${")] == []
    volumes = [volume for one in composed.values() for volume in one.get("volumes", [])]
    assert [v for v in volumes if v["type"] == "volume" and v.get("source") not in raw["volumes"]] == []
    assert [v for v in volumes if v["type"] == "bind" and not (v.get("read_only") and Path(v["source"]).exists())] == []
    refused = _compose("--env-file", os.devnull, "config", "--quiet", check=False)
    assert "POSTGRES_PASSWORD is missing a value: run make env once, it writes .env" in refused


def _compose(*arguments: str, check: bool = True) -> str:
    ours = ("POSTGRES_", "TEMPORAL_", "PACTKEEPER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [str(Path(sys.executable).with_name("docker-compose")), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=clean, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout if check else done.stderr
