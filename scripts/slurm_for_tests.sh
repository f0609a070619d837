#!/usr/bin/env bash
# A small real Slurm for tests: one controller, two nodes (n1 in partition gb, n2 in partition fr), all inside one directory.
#   scripts/slurm_for_tests.sh install          slurm-wlm and munge by apt-get, if they are not here yet
#   scripts/slurm_for_tests.sh start DIR        write DIR/slurm.conf and start everything; then: export SLURM_CONF=DIR/slurm.conf
#   scripts/slurm_for_tests.sh controller DIR   start the controller again, after it was stopped
#   scripts/slurm_for_tests.sh stop DIR         end all that start began
# EXTRA_CONF holds further lines of slurm.conf. Nothing outside DIR is written, no other Slurm on this machine is touched.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

at_hand() { command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null && command -v munged >/dev/null; }

install() {
  at_hand && return 0
  local as=()
  [ "$(id -u)" = 0 ] || as=(sudo -n)
  "${as[@]}" apt-get update -qq
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
}

free_ports() { # four ports of the loopback that nobody listens on
  python3 - <<'P'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in held))
P
}

configure() {
  local dir="$1" host ports
  host="$(hostname -s)"
  read -r -a ports <<<"$(free_ports)"
  mkdir -p "$dir"/{state,spool.n1,spool.n2,log}
  chmod 755 "$dir"
  cat >"$dir/slurm.conf" <<C
ClusterName=greentest
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
SlurmctldPort=${ports[0]}
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=5
MinJobAge=300
RequeueExit=75
ReturnToService=2
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=2 Features=gb State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=2 Features=fr State=UNKNOWN
PartitionName=gb Nodes=n1 Default=YES MaxTime=INFINITE State=UP
PartitionName=fr Nodes=n2 MaxTime=INFINITE State=UP
${EXTRA_CONF:-}
C
}

start() {
  local dir="$1"
  configure "$dir"
  head -c 128 /dev/urandom >"$dir/munge.key"
  chmod 400 "$dir/munge.key"
  munged --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed" 2>"$dir/log/munged.err"
  controller "$dir"
  local node
  for node in n1 n2; do slurmd -f "$dir/slurm.conf" -N "$node" </dev/null >>"$dir/log/start" 2>&1; done
  SLURM_CONF="$dir/slurm.conf" waited "two idle nodes" eval '[ "$(sinfo -h -N -t idle -o %N | wc -l)" = 2 ]'
}

controller() {
  slurmctld -f "$1/slurm.conf" </dev/null >>"$1/log/start" 2>&1
  SLURM_CONF="$1/slurm.conf" waited "a controller" eval 'scontrol ping 2>/dev/null | grep -q UP'
}

waited() { # waited WHAT COMMAND...: until the command succeeds, 20 s at most
  local what="$1" tries=200
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "no $what within 20 s; see the log directory" >&2; return 1; }
    sleep 0.1
  done
}

stop() {
  local dir="$1" name pid
  if [ -f "$dir/slurmctld.pid" ]; then SLURM_CONF="$dir/slurm.conf" scancel --user="$(id -un)" 2>/dev/null || true; fi
  for name in slurmd.n1 slurmd.n2 slurmctld munged; do
    pid="$(cat "$dir/$name.pid" 2>/dev/null)" || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do
      case "$(ps -o stat= -p "$pid" 2>/dev/null)" in "" | Z*) break ;; esac
      sleep 0.1
    done
  done
}

case "${1:-}" in
  install) install ;;
  start | stop | controller) "$1" "$(realpath -m "$2")" ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
