#!/bin/sh
# Make the virtual environment from requirements.lock: find a Python, then venv, uv, the locked packages and this project.
# Called by `make setup`; safe to repeat, and an interrupted run is simply run again.
set -eu

venv=$1

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Prints the first command whose interpreter really is 3.11 or 3.12; names what was found otherwise. A path may hold spaces.
find_python() {
    found=""
    for name in ${TICK_PYTHON:+"$TICK_PYTHON"} python3.11 python3.12 python3 python; do
        command -v "$name" >/dev/null 2>&1 || continue
        version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $version in
            3.11 | 3.12)
                "$name" -c 'import sys; print(sys.executable)'
                return 0
                ;;
        esac
        found="$found $name is $version;"
    done
    fail "Expected Python 3.11 or 3.12, was:${found:- no Python at all.} Looked for python3.11, python3.12, python3 and python on the PATH." \
        "Install one of the two, or set TICK_PYTHON to its path."
}

is_usable() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null
}

make_venv() {
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "making $venv with $python ($version)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "Expected Python's venv module, was: missing in $python." \
        "Install the package python$version-venv (Debian, Ubuntu) and repeat."
    "$python" -m venv "$venv" || fail "Expected a virtual environment in $venv, was refused by $python -m venv. Read its message above."
}

is_usable || make_venv
if ! "$venv/bin/python" -m uv --version >/dev/null 2>&1; then
    echo "installing uv"
    "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || true
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv ||
        fail "Expected to install uv, was refused. Check the network (HTTPS_PROXY where a proxy is needed) and run make setup again."
fi
echo "installing the locked packages (about 2.8 GB unpacked)"
"$venv/bin/python" -m uv pip sync --quiet --compile-bytecode --python "$venv/bin/python" requirements.lock ||
    fail "Expected to install requirements.lock, was refused. Check the network and the disk, and run make setup again."
"$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" --no-deps --editable . ||
    fail "Expected to install this project into $venv, was refused. Read the message above."
