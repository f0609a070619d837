# shellcheck shell=bash
# Sourced by run.sh and test.sh: finds a Python and keeps a virtual environment in step with its lock file.
# After `prepare_env DIR LOCK` the variable PY is that environment's Python.

# Some images forbid Python to keep what it compiled. Each of our many short processes would compile its imports anew:
# `greenai plan` costs 1.3 s of processor instead of 0.65, importing PyTorch 14 instead of 5.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*"; }
die() { printf '\n%s\n' "$*" >&2; exit 1; }

# Print every program called $1 on PATH, not only the first: a version manager's shim may stand before a real one.
programs_called() { type -aP "$1" 2>/dev/null; }

python_runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
python_makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Print the first Python >= 3.11 that really runs and can make environments; PYTHON=... names one to try first.
find_python() {
  local name candidate without_venv=""
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3; do
    while IFS= read -r candidate; do
      python_runs "$candidate" || continue
      if python_makes_venvs "$candidate"; then
        printf '%s\n' "$candidate"
        return 0
      fi
      without_venv="${without_venv:-$candidate}"
    done < <(programs_called "$name")
  done
  if [ -n "$without_venv" ]; then
    local version
    version="$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    die "$without_venv cannot make virtual environments. Install the missing part, then run this again:
  sudo apt-get install python${version}-venv    (or python3-venv)"
  fi
  die "Python 3.11 or newer was not found. On Debian or Ubuntu:
  sudo apt-get install python3 python3-venv
Or name one: PYTHON=python3.12 bash $0"
}

# Install with uv where it works (seconds), else with pip (a minute). Arguments are those both understand.
install() {
  if uv --version >/dev/null 2>&1; then
    uv pip install --quiet --python "$PY" "$@" && return 0
    say "uv could not install this; trying pip."
  fi
  "$PY" -m pip --version >/dev/null 2>&1 || "$PY" -m ensurepip >/dev/null || return 1
  "$PY" -m pip install -qq --disable-pip-version-check --no-input "$@"
}

# The packages of a lock file, exactly, each checked against its hash.
install_lock() { install --require-hashes -r "$1"; }

install_self() { install --no-deps --no-build-isolation -e . || die "greenai itself could not be installed (see above)."; }

# Make or renew environment $1 from lock $2. The stamp is written last, so a broken-off install is done again.
# An environment without a stamp was not made here: it is added to, never deleted.
prepare_env() {
  local dir="$1" lock="$2" python key self_key stamp="$1/greenai-stamp"
  python="$(find_python)" || exit 1
  exec 9>"$dir.lock"
  if command -v flock >/dev/null; then flock 9; fi
  key="$({ cat "$lock"; pwd; "$python" -VV; } | sha256sum | cut -c1-32)"
  self_key="$(sha256sum pyproject.toml | cut -c1-32)"
  if [ -e "$stamp" ] && [ "$(head -n1 "$stamp")" != "$key" ]; then rm -rf "$dir"; fi
  PY="$PWD/$dir/bin/python"
  if [ ! -e "$stamp" ]; then
    say "Setting up $dir with $("$python" -V) from $lock"
    if ! python_runs "$PY"; then
      "$python" -m venv --clear "$dir" || die "$python could not make $dir."
      : >"$stamp"
    fi
    install_lock "$lock" || die "The packages of $lock could not be installed (see above). Is the package registry reachable?"
    install_self
    printf '%s\n%s\n' "$key" "$self_key" >"$stamp"
  elif [ "$(sed -n 2p "$stamp")" != "$self_key" ]; then
    install_self
    printf '%s\n%s\n' "$key" "$self_key" >"$stamp"
  fi
  exec 9>&-
}
