# What bin/demo, bin/test, bin/bench and bin/chaos share: a Python that is new enough, .venv, the pinned packages.
# Sourced, not run. POSIX sh. Never asks for root; says one clear line when something is missing.

die() {
    printf 'agdar: %s\n' "$1" >&2
    exit 1
}

# Sets PYTHON to the first interpreter that is 3.11 or newer.
find_python() {
    seen=
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            PYTHON=$candidate
            return
        fi
        [ -n "$seen" ] || seen=$("$candidate" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null) || true
    done
    [ -n "$seen" ] && die "Python 3.11 or newer is needed, but python3 here is $seen."
    die "Python 3.11 or newer is needed, but there is no python3 on the PATH."
}

# ensure_packages FILE: .venv with exactly the packages of FILE. Quick when nothing changed since the last time.
ensure_packages() {
    wanted=$1
    mkdir -p var
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        find_python
        "$PYTHON" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
            die "Python's venv module is missing (on Debian and Ubuntu it is the package python3-venv)."
        echo "Making .venv …"
        "$PYTHON" -m venv --clear .venv >var/setup.log 2>&1 || die "could not make .venv; var/setup.log says why."
    fi
    # The stamp holds the hashes of the lists that are installed; requirements-dev.txt contains requirements.txt.
    hash=$(.venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$wanted")
    if grep -qs "^$hash\$" .venv/agdar-installed; then
        return
    fi
    echo "Installing the packages of $wanted (once; about half a minute) …"
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --retries 2 \
        --require-hashes -r "$wanted" >var/setup.log 2>&1 </dev/null; then
        if grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries|Temporary failure' var/setup.log; then
            die "pip cannot reach the package index. Is there a network connection? (var/setup.log has the details)"
        fi
        die "pip could not install $wanted; var/setup.log says why."
    fi
    if [ "$wanted" = requirements-dev.txt ]; then
        .venv/bin/python -c 'import hashlib; print(hashlib.sha256(open("requirements.txt", "rb").read()).hexdigest())' >.venv/agdar-installed
        echo "$hash" >>.venv/agdar-installed
    else
        echo "$hash" >.venv/agdar-installed
    fi
}
