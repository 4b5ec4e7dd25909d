#!/usr/bin/env bash
# Trains one stage in several processes, one per GPU (or on CPUs without GPUs).
#
#   scripts/dist_train.sh CONFIG GPUS [options of 'detnas train': --work-dir, --resume, ...]
#
# On several machines, run it on each with its own NODE_RANK from 0:
#
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 scripts/dist_train.sh CONFIG 8 ...
#
# GPUS is the number per machine. After a kill, the same command with --resume resumes training.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 2 ] || usage
config=$1 gpus=$2
shift 2
several_processes "$gpus" train "$config" "$@"
exec "${command[@]}"
