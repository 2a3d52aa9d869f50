#!/bin/sh
# The browser of the tests that look at pages: installed where that is possible without asking.
# Where it is not, those tests are skipped and say so.
set -eu
for name in chromium chromium-browser; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing chromium for the browser tests ..."
    if { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
        >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "No chromium here: browser tests are skipped. On Debian or Ubuntu: apt-get install chromium."
