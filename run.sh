#!/usr/bin/env bash
# The main job, shown on this machine: the grid now, the plan for the next 48 hours, a short real training run
# metered, baseline and optimised training compared, the evidence verified, the report written. Waits for nothing: all
# runs now, and the plan says when it would have run.
#   bash run.sh             in the zone of your settings, else of this machine's time zone, else GB
#   bash run.sh DE          in another zone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/env.sh
case "${1:-}" in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

prepare_env .venv requirements.lock
if [ "$(cat .venv/greenai-train 2>/dev/null)" != "$(sha256sum <requirements-train.lock)" ]; then
  install_lock requirements-train.lock || die "The packages of requirements-train.lock could not be installed (see above)."
  sha256sum <requirements-train.lock >.venv/greenai-train
fi
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
greenai --json evidence show last >"$OUT/evidence.json"

TRAIN=(--zone "$ZONE" --out "$OUT/evidence.csv")
show "The baseline: the prototype's gradient boosting" \
  greenai run --mode baseline "${TRAIN[@]}" --log-decision "$OUT/carbon_aware_decision.json"
show "The optimised way, behind the quality gate" \
  greenai run --mode optimized "${TRAIN[@]}" --log-decision "$OUT/carbon_aware_decision.json"
show "Both in randomised pairs on the same splits" greenai experiment --runs 6 "${TRAIN[@]}"
show "Recomputed from the spooled samples and the archived grid data" greenai evidence verify "$OUT/evidence.csv"
show "The report, from the ledger alone" greenai report --out "$OUT"

printf '\n── Written\n'
printf '%-52s %s\n' \
  "$OUT/evidence.json" "the run's evidence: every number with its source, grade and interval" \
  "$OUT/evidence.csv" "one row per run" \
  "$OUT/carbon_aware_decision.json" "why it ran when it did" \
  "$OUT/report.html" "one page: forecast, window, energy, comparison, verdict" \
  "$OUT/FOOTPRINT.md, *_card.md, impact_math.csv" "the same as texts and a table, each number with its record" \
  "$OUT/energy_co2_bars.png" "baseline against optimised" \
  "$OUT/state/" "ledger, samples and archived grid data (GREENAI_HOME)"
