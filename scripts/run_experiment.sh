#!/usr/bin/env bash
# Runs the stages of an experiment's folder in order (pretrain, finetune, search, pretrain_subnet,
# retrain, test, compare), skipping finished stages and resuming an interrupted one.
#
#   scripts/run_experiment.sh FOLDER [GPUS] [options of 'detnas run': --work-dir, --stages, ...]
#
# All stages are checked before the first one runs. If GPUS is 2 or more, every stage runs in that
# many processes of this machine, and a search has that many workers. For several machines, use
# dist_train.sh and dist_search.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 1 ] || usage
folder=$1
shift
if [ ! -d "$folder" ]; then
    echo "$folder is not a folder: name one of configs/, such as configs/bccd_retinanet" >&2
    exit 2
fi
if [ "${NNODES:-1}" -gt 1 ]; then
    echo "$0 runs on one machine: for several, train each stage with scripts/dist_train.sh" >&2
    exit 2
fi
gpus=1
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    gpus=$1
    shift
fi
require_count "$gpus"
run=("$python" -m detnas.cli run "$folder" "$@")
if [ "$gpus" -eq 1 ] || [[ " $* " == *" --check "* ]]; then
    exec "${run[@]}"
fi
states=$("${run[@]}" --check --quick </dev/null)
if ! [[ $states == *unfinished* ]]; then
    exec "${run[@]}" # also writes the summary if a kill prevented that
fi
while read -r stage state; do
    if [ "$state" = finished ]; then
        echo "$stage: finished before" >&2
    else
        if [ "$stage" = search ]; then # one process, which starts its workers
            command=(
                env "OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}" "${run[@]}" --stages search
                --cfg-options "${executor_of_one_machine[@]}" "search.executor.workers=$gpus"
            )
        else
            several_processes "$gpus" run "$folder" "$@" --stages "$stage"
        fi
        interruptible "${command[@]}"
    fi
done <<<"$states"
