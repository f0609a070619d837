#!/usr/bin/env bash
# All checks and tests. A failing step stops the run with its name.
#   bash test.sh            everything (what CI runs)
#   bash test.sh --quick    the inner loop: linters, types, contracts and the fast tests
# Further arguments go to pytest:  bash test.sh --quick -k planner
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/env.sh

QUICK=""
if [ "${1:-}" = --quick ]; then QUICK=yes; shift; fi
case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

STEP="set-up"
SAID="$(mktemp -d)" # what steps said that run beside others, and what this machine could not test
BESIDE=()           # "pid name" of those that have not been gathered
finish() {
  local code=$? one
  for one in ${BESIDE[@]+"${BESIDE[@]}"}; do kill -INT -- "-${one%% *}" 2>/dev/null || true; done
  wait
  rm -rf "$SAID"
  if [ "$code" != 0 ]; then printf '\nFAILED: %s (exit %d)\n' "$STEP" "$code" >&2; fi
}
trap finish EXIT

step() { # step NAME COMMAND...: run it and say how long it took; a failure anywhere inside ends the run (set -e)
  local begun=$SECONDS
  STEP="$1"; shift
  printf '\n=== %s\n' "$STEP"
  "$@"
  printf -- '--- %s: %d s\n' "$STEP" $((SECONDS - begun))
}

# Most steps use one core or wait, so some run beside others. Each has a process group of its own (set -m): Ctrl-C is
# then passed on by `finish`, and means in there what it means to any program.
beside() { # beside NAME COMMAND...: a step that others do not wait for; `gather` shows what it said
  set -m
  (step "$@") >"$SAID/$1.out" 2>&1 </dev/null &
  set +m
  BESIDE+=("$! $1")
}

gather() { # wait for the steps beside; the first that failed ends the run
  local one failed=""
  for one in ${BESIDE[@]+"${BESIDE[@]}"}; do
    wait "${one%% *}" || failed="${failed:-${one#* }}"
    cat "$SAID/${one#* }.out"
  done
  BESIDE=()
  if [ -n "$failed" ]; then STEP="$failed"; return 1; fi
}

untested() { printf '%s\n' "$1" >>"$SAID/untested"; printf '\n!!! NOT TESTED HERE: %s\n' "$1"; }

extra() { # extra NAME WHAT OPTION...: a heavy optional part, added to the environment; its tests skip themselves without it
  local lock="requirements-$1.lock" stamp=".venv-dev/greenai-$1" key
  key="$(sha256sum "$lock" | cut -c1-32)"
  [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || return 0
  if install "${@:3}" --require-hashes -r "$lock"; then printf '%s' "$key" >"$stamp"; else untested "$2: $lock could not be installed"; fi
}

torch_at_hand() { # several GB from a registry, so only a wheel that pip finds without one (PIP_FIND_LINKS) is taken
  "$PY" -c 'import torch' 2>/dev/null && return 0
  "$PY" -m pip --version >/dev/null 2>&1 || "$PY" -m ensurepip >/dev/null
  if "$PY" -m pip install -qq --disable-pip-version-check --no-index --no-deps torch 2>/dev/null; then
    install_lock requirements-torch.lock
  else
    untested "green training with PyTorch: no wheel at hand (to test it: $PY -m pip install torch)"
  fi
}

frameworks() { # their lock leaves PyTorch out, so it is taken as it is, without asking what else they would like
  if "$PY" -c 'import torch' 2>/dev/null; then
    extra frameworks "pausing in Hugging Face, Accelerate, Lightning, Keras and XGBoost" --no-deps
  else
    untested "pausing in PyTorch, Hugging Face, Accelerate, Lightning and Keras: they need PyTorch"
  fi
}

extras() { # what the tests of optional parts need
  step "extra: codecarbon" extra codecarbon "the CodeCarbon adapter against the real library"
  step "extra: train" extra train "green training and its reports"
  step "extra: torch" torch_at_hand
  step "extra: frameworks" frameworks
}

types() { mypy && mypy examples scripts; }

docs() { "$PY" -m sphinx -W --keep-going -q -b html docs docs/_build/html; }

package() { # sdist, wheel from it, and that wheel in an environment of its own
  rm -rf dist .venv-wheel
  "$PY" -m build --no-isolation --outdir dist . >/dev/null
  "$PY" scripts/check_wheel.py dist
  "$PY" -m venv .venv-wheel
  (
    PY="$PWD/.venv-wheel/bin/python"
    install_lock requirements.lock
    install --no-deps dist/*.whl
    cd "$(mktemp -d)"
    "$PY" -I -c 'import greenai; print("import greenai", greenai.__version__)'
    "${PY%/python}/greenai" --version
    "${PY%/python}/greenai" --help >/dev/null
  )
}

demonstration() { # run.sh as a stranger runs it, with a grid service that does not answer
  rm -rf artifacts/demo
  GREENAI_UK_URL="http://127.0.0.1:9" DEMO_DIR=artifacts/demo bash run.sh GB >"$SAID/demo" 2>&1 || { cat "$SAID/demo"; return 1; }
  tail -n 6 "$SAID/demo"
  test -s artifacts/demo/evidence.json
}

BY_THEMSELVES=(--ignore=tests/e2e/test_slurm.py --ignore=tests/e2e/test_queue_chaos.py)

chaos() { # by itself: what disturbs it makes it slow. The whole thing (300 jobs, 60 kills: the file's own sizes) takes 4.5 min on two cores
  CHAOS_JOBS="${CHAOS_JOBS:-120}" CHAOS_KILLS="${CHAOS_KILLS:-40}" "$PY" -m pytest -q -n 0 tests/e2e/test_queue_chaos.py
}

pytest_with_coverage() { # two workers a core: most of the time tests wait for processes, servers and clocks
  "$PY" -m pytest -q -n $((2 * $(nproc))) --dist worksteal --cov --cov-report=term "${BY_THEMSELVES[@]}" "$@" | tee "$SAID/pytest"
}

slurm() { # one real controller with two nodes, in its own directory, for one file of tests: not in parallel
  if scripts/slurm_for_tests.sh install >"$SAID/slurm" 2>&1; then
    GREENAI_TEST_SLURM=required "$PY" -m pytest -q -n 0 tests/e2e/test_slurm.py
  else
    untested "Slurm: slurm-wlm and munge could not be installed (scripts/slurm_for_tests.sh install)"
  fi
}

prepare_env .venv-dev requirements-dev.lock
export PATH="$PWD/.venv-dev/bin:$PATH"

if [ -z "$QUICK" ]; then
  beside demonstration demonstration
  beside package package
fi
extras
gather
[ -n "$QUICK" ] || beside slurm slurm # waits more than it works; one core beside it is left free
step "ruff check" ruff check .
step "ruff format" ruff format --check .
step "mypy" types
step "import contracts" lint-imports --no-logo --no-cache # its cache keeps imports that were once unresolved
step "codespell" codespell

if [ -n "$QUICK" ]; then
  step "pytest (fast tests)" "$PY" -m pytest -q -n auto -m "not slow" "$@"
  exit 0
fi

step "docs" docs
gather
step "chaos" chaos
step "pytest" pytest_with_coverage "$@"
while IFS= read -r gap; do printf '!!! NOT TESTED HERE: %s\n' "$gap"; done < <(cat "$SAID/untested" 2>/dev/null || true)
printf '\nAll steps passed in %d s. pytest said:\n' "$SECONDS"
tail -n1 "$SAID/pytest"
