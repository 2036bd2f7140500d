#!/bin/sh
# Makes the virtual environment that the client tests run in: make-venv.sh DIRECTORY
set -eu
venv=$1
here=$(dirname "$0")

if ! command -v python3 >/dev/null 2>&1 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && apt-get install -y -qq python3 python3-venv python3-pip
    else
        echo "The client tests need Python 3.10 or newer with the venv module." >&2
        echo "Install it (Debian: apt-get install python3 python3-venv), then run make test again." >&2
        exit 1
    fi
fi

python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" || {
    echo "The clients' packages could not be installed; is the package index reachable?" >&2
    exit 1
}
