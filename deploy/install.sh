#!/bin/sh
# Installs this release into a virtual environment of its own, without what only `hustlexp dev` needs.
# Usage: sh deploy/install.sh /opt/hustlexp/releases/1
set -eu
release=$1
cd "$(dirname "$0")/.."
"${PYTHON:-python3}" -m venv "$release"
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 $release/bin/python -m pip -q install --no-cache-dir"
$pip --require-hashes --only-binary :all: -r requirements-production.lock
# From a copy: building leaves folders where it is done, and this one may be read-only.
copy=$(mktemp -d)
cp -R pyproject.toml README.md bench broadcast clients deploy engine gateway geo sql "$copy"
$pip --no-deps --no-build-isolation "$copy/clients/python" "$copy"
rm -rf "$copy"
