#!/usr/bin/env bash
# The main job, shown on this machine: the grid now, the plan for the next 48 hours, a short real training run
# metered, its evidence verified. Waits for nothing: the job runs now, and the plan says when it would have run.
#   bash run.sh             in the zone of your settings, else of this machine's time zone, else GB
#   bash run.sh DE          in another zone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/env.sh
case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

prepare_env .venv requirements.lock
export PATH="$PWD/.venv/bin:$PATH"
OUT="${DEMO_DIR:-artifacts}"
export GREENAI_HOME="$PWD/$OUT/state"
mkdir -p "$OUT"

show() { # show TITLE COMMAND...: what is run, then its output
  printf '\n── %s\n$ %s\n\n' "$1" "${*:2}"
  "${@:2}"
}

ZONE="${1:-$(python scripts/demo_zone.py)}"

show "The grid now" greenai now --zone "$ZONE"
show "When a 2 h training run should start, of the next 48 h" \
  greenai plan --zone "$ZONE" --duration 2h --finish-by 48h
show "A short training run, metered (it runs now: nobody waits for a demonstration)" \
  greenai run --zone "$ZONE" --duration 1m --out "$OUT/evidence.csv" --log-decision "$OUT/carbon_aware_decision.json" \
  -- python examples/train_tiny.py
show "Its evidence" greenai evidence show last
show "Recomputed from the spooled samples and the archived grid data" greenai evidence verify
greenai --json evidence show last >"$OUT/evidence.json"

printf '\n── Written\n'
printf '%-42s %s\n' \
  "$OUT/evidence.json" "the run's evidence: every number with its source, grade and interval" \
  "$OUT/evidence.csv" "one row per run" \
  "$OUT/carbon_aware_decision.json" "why it ran when it did" \
  "$OUT/state/" "ledger, samples and archived grid data (GREENAI_HOME)"
