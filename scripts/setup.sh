#!/bin/sh
# Finds a Python that can run the set-up (scripts/setup), and runs it. Exit 3: something is missing.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

works() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in "$root/.venv/bin/python" ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 \
        /usr/bin/python3 /usr/local/bin/python3; do
        if works "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

may_install() {
    command -v apt-get >/dev/null 2>&1 && command -v id >/dev/null 2>&1 && [ "$(id -u)" = 0 ]
}

install_python() {
    echo "set-up: installing python3 and python3-venv from Debian" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null 2>&1 || {
        apt-get update -qq >&2
        apt-get install -y -qq --no-install-recommends python3 python3-venv >&2
    }
}

if ! python=$(find_python); then
    if may_install; then install_python || true; fi
    if ! python=$(find_python); then
        echo "set-up: no Python 3.11 or newer with its venv module was found." >&2
        echo "  mend it: apt-get update && apt-get install -y python3 python3-venv   (Debian 12 or newer, as root)" >&2
        echo "       or: PYTHON=/path/to/python3.11 make …" >&2
        exit 3
    fi
fi
exec "$python" "$root/scripts/setup" "$@"
