#!/usr/bin/env bash
# Scores a checkpoint on the test split in several processes, which share its images.
#
#   scripts/dist_test.sh CONFIG CHECKPOINT GPUS [options of 'detnas test': --json, ...]
#
# On several machines, use it as dist_train.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 3 ] || usage
config=$1 checkpoint=$2 gpus=$3
shift 3
several_processes "$gpus" test "$config" "$checkpoint" "$@"
exec "${command[@]}"
