#!/bin/sh
# Installs what the checkout needs. Runs before there is a virtual environment, so it is written for a plain POSIX shell.
#   install.sh venv FOLDER REQUIREMENTS   make the virtual environment when it is missing, then install the requirements
#   install.sh browser                    install Debian's Chromium when it is missing
#   install.sh registry                   install Debian's registry of artifacts, for tests, when it is missing
set -eu

# What pip downloads and unpacks, with room to spare.
NEEDED_MB=2000

say() { printf 'catalyst: %s\n' "$*"; }
fail() { printf '\nCatalyst cannot be installed: %s\n' "$*" >&2; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON is $PYTHON, and there is no such program."
        is_new_enough "$PYTHON" || fail "Python 3.11 or newer is needed; $PYTHON is $("$PYTHON" --version 2>&1)."
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    found=$(python3 --version 2>&1) || found="no Python 3"
    fail "Python 3.11 or newer is needed; this machine has ${found}. Install one, then: make run PYTHON=/path/to/python3"
}

# Installs Debian packages where we may; says 1 where we may not.
debian_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo"
    else return 1
    fi
    say "installing the Debian packages $*"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null || return 1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

check_disk() {
    free=$(df -Pk . | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge "$NEEDED_MB" ] ||
        fail "the disk that holds $(pwd) is full: $free MB are free, $NEEDED_MB MB are needed. Free $((NEEDED_MB - free)) MB."
}

make_venv() {
    python=$(find_python) || exit 1
    check_disk
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        debian_install "$package" || fail "the venv module of $python is missing. On Debian: sudo apt-get install $package"
    fi
    say "making the virtual environment $1 with $("$python" --version 2>&1)"
    rm -rf "$1"
    "$python" -m venv "$1" || fail "$python could not make the virtual environment $1; its words stand above."
}

install_requirements() {
    # A pip that starts proves that the environment is whole and that its Python still exists.
    { [ -x "$1/bin/python" ] && "$1/bin/python" -m pip --version >/dev/null 2>&1; } || make_venv "$1"
    is_new_enough "$1/bin/python" || fail "$1 was made with an older Python. Remove it (make clean) and start again."
    say "installing $2 (the first time takes a while)"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$2" ||
        fail "pip could not install $2; its words stand above. (No network, or the disk is full?)"
}

install_browser() {
    command -v git >/dev/null || fail "git is needed. On Debian: sudo apt-get install git"
    ! command -v chromium >/dev/null || return 0
    debian_install chromium || fail "the tests need Chromium. On Debian: sudo apt-get install chromium"
}

install_registry() {
    missing=""
    command -v docker-registry >/dev/null || missing="docker-registry"
    command -v openssl >/dev/null || missing="$missing openssl"
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086  # package names, one word each
    debian_install $missing || fail "the tests need $missing. On Debian: sudo apt-get install docker-registry openssl"
}

case "${1:-}" in
    venv) install_requirements "$2" "$3" ;;
    browser) install_browser ;;
    registry) install_registry ;;
    *) fail "unknown request: ${1:-}" ;;
esac
