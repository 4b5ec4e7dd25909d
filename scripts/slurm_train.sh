#!/usr/bin/env bash
# Trains one stage under Slurm, one task a GPU.
#
#   scripts/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of 'detnas train']
#
# GPUS (8), GPUS_PER_NODE (8) and CPUS_PER_TASK (5) say how many; GPUS_PER_NODE=0 trains on CPUs in
# GPUS tasks. SRUN_ARGS are further options of srun, as SRUN_ARGS="--quotatype=auto --time=3-0". PORT
# is where the tasks meet, by default one of the job's own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 4 ] || usage
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
tasks=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
resources=(--ntasks="$tasks" --cpus-per-task="${CPUS_PER_TASK:-5}")
command=("$python" -u -m detnas.cli train "$config" --work-dir "$work_dir" --launcher slurm "$@")
if ((per_node > 0)); then
    on_node=$((tasks < per_node ? tasks : per_node))
    resources+=(--ntasks-per-node="$on_node" --gres="gpu:$on_node")
else  # a node may show devices that were not asked for; srun drops the variable, so the task sets it
    command=(env CUDA_VISIBLE_DEVICES= "${command[@]}")
fi
read -r -a more <<<"${SRUN_ARGS:-}"
if [ -n "${PORT:-}" ]; then
    export MASTER_PORT=$PORT
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}  # as torchrun's processes
srun --partition="$partition" --job-name="$job_name" "${resources[@]}" --kill-on-bad-exit=1 \
    ${more[@]+"${more[@]}"} "${command[@]}"
