#!/bin/sh
# Print the command of a Python that is new enough, or say in one sentence that there is none.
set -eu

for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$python" >/dev/null 2>&1 &&
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
echo "Pactkeeper needs Python 3.11 or newer, and none of python3, python3.11 … python3.14, python is that; install one and run make again" >&2
exit 1
