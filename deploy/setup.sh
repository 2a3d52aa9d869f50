#!/bin/sh
# Makes .venv and installs one hash-pinned lock into it, then the project itself; nothing when up to date.
# Usage: sh deploy/setup.sh requirements.lock
set -eu
cd "$(dirname "$0")/.."
lock=$1

# What must be the same for the last installation to be still good: lock, project, place.
wanted="$(cat "$lock" pyproject.toml clients/python/pyproject.toml | cksum) $PWD"
stamp=".venv/installed-$lock"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

suits() {  # a Python of 3.11 or newer that can really run (version managers leave dead shims)
    "$1" -c 'import sys; sys.exit(not sys.version_info >= (3, 11))' 2>/dev/null
}

if ! suits .venv/bin/python; then
    for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if suits "$python"; then break; fi
        python=
    done
    if [ -z "$python" ]; then
        echo "HustleXP Live needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python3." >&2
        exit 2
    fi
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python lacks the venv module: on Debian or Ubuntu, apt-get install python3-venv." >&2
        exit 2
    fi
    echo "Making .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv
fi

echo "Installing $lock (hashes checked) ..."
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip -qq"
$pip install --require-hashes --only-binary :all: -r "$lock"
$pip install --no-deps --no-build-isolation -e clients/python -e .
echo "$wanted" > "$stamp"
