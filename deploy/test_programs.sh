#!/bin/sh
# The programs that some tests look through or stand behind: installed where that is possible without
# asking. Where it is not, those tests are skipped and say so.
# Usage: sh deploy/test_programs.sh PROGRAM[:PACKAGE] ...
set -eu
PATH="$PATH:/usr/sbin:/sbin"
missing=
packages=
for wanted in "$@"; do
    program=${wanted%%:*}
    if ! command -v "$program" >/dev/null 2>&1; then
        missing="$missing $program"
        packages="$packages ${wanted##*:}"
    fi
done
if [ -z "$missing" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$packages for the tests ..."
    # shellcheck disable=SC2086  # a list of words
    if { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
        >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "Not here:$missing: the tests that need them are skipped. On Debian or Ubuntu: apt-get install$packages."
