#!/usr/bin/env bash
# Searches in several processes, one a GPU (or on CPUs, where there is none): the first one
# coordinates, all evaluate.
#
#   scripts/dist_search.sh CONFIG GPUS [options of 'detnas search': --work-dir, --resume, ...]
#
# On several machines, on each with its own NODE_RANK from 0:
#
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 scripts/dist_search.sh CONFIG 8 ...
#
# GPUS is of each machine; CONFIG, data and weights lie at the same paths on all. Where a process
# ends, all are started again and go on, RESTARTS (3) times at most. After a kill, the same command
# with --resume goes on; the number of processes may change.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 2 ] || usage
config=$1 gpus=$2
shift 2
restarts=${RESTARTS:-3}
several_processes "$gpus" search "$config" "$@"
exec "${command[@]}"
