#!/usr/bin/env bash
# Searches under Slurm, with one worker per GPU.
#
#   scripts/slurm_search.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of 'detnas search']
#
# GPUS (8, rounded up to whole nodes), GPUS_PER_NODE (8) and CPUS_PER_TASK (5, per GPU) set sizes.
# GPUS_PER_NODE=0 evaluates on CPUs in GPUS workers. SRUN_ARGS are further options of srun, such as
# SRUN_ARGS="--quotatype=auto --time=3-0".
# On more than one node it starts a Ray cluster (pip install 'detnas[ray]') that ends with the search;
# PORT is its port (default: derived from the job's number). After a kill, the same command with
# --resume resumes the search; the number of GPUs may change.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 4 ] || usage
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} cpus=${CPUS_PER_TASK:-5}
require_count "$gpus"
if ((per_node > 0)); then # a task per node
    per_node=$((gpus < per_node ? gpus : per_node))
    nodes=$(((gpus + per_node - 1) / per_node))
    resources=(
        --ntasks="$nodes" --ntasks-per-node=1
        --cpus-per-task="$((cpus * per_node))" --gres="gpu:$per_node"
    )
    task=(env)
else # a task per worker; hides devices that were not requested
    per_node=1 nodes=$gpus
    resources=(--ntasks="$nodes" --cpus-per-task="$cpus")
    task=(env CUDA_VISIBLE_DEVICES=)
fi
read -r -a more <<<"${SRUN_ARGS:-}"
# In each task, dist_search.sh uses the first task's node and a port derived from the step.
# shellcheck disable=SC2016 # for the tasks to expand
in_task='
    first=$(scontrol show hostnames "$SLURM_STEP_NODELIST" | head -n 1)
    own_port=$((20000 + (101 * SLURM_JOB_ID + SLURM_STEP_ID) % 12000))
    export NODE_RANK=$SLURM_PROCID MASTER_ADDR=${MASTER_ADDR:-$first} PORT=${PORT:-$own_port}
    exec "$@"
'
# The tasks need not share a home for Ray's token.
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$("$python" -c 'import secrets; print(secrets.token_hex(32))')}
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token DETNAS_LAUNCHER=$0 NNODES=$nodes
srun --partition="$partition" --job-name="$job_name" "${resources[@]}" --kill-on-bad-exit=1 \
    ${more[@]+"${more[@]}"} "${task[@]}" bash -c "$in_task" - "$root/scripts/dist_search.sh" \
    "$config" "$per_node" --work-dir "$work_dir" "$@"
