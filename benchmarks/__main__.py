"""All benchmarks, one after the other, each in a process of its own: `make bench`, `python -m benchmarks [--json] [--quick]`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALL = ("business_time", "reference_incident", "worker_cpu", "intake")


def run(name: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    """One benchmark; what servers say goes to standard error."""
    words = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object, a field for each benchmark")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that they run, not for figures")
    wanted = parser.parse_args()
    failed, told = [], {}
    for name in ALL:
        options = ["--json"] * wanted.json + ["--quick"] * (wanted.quick and name != "business_time")
        done = run(name, options)
        if done.returncode:
            failed.append(name)
        elif wanted.json:
            told[name] = json.loads(done.stdout)
        else:
            print(f"== {name.replace('_', ' ')}\n\n{done.stdout}", flush=True)
    if wanted.json:
        print(json.dumps(told, indent=2))
    if failed:
        print(f"failed: {', '.join(failed)}; what they said stands above", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
