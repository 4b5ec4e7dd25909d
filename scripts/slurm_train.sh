#!/usr/bin/env bash
# Trains one stage under Slurm, one task per GPU.
#
#   scripts/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of 'detnas train']
#
# GPUS (8), GPUS_PER_NODE (8) and CPUS_PER_TASK (5) set the sizes; GPUS_PER_NODE=0 trains on CPUs in
# GPUS tasks. SRUN_ARGS are more options of srun, such as SRUN_ARGS="--quotatype=auto --time=3-0".
# PORT is the rendezvous port (default: derived from the job's number).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 4 ] || usage
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
slurm_tasks "$partition" "$job_name" train "$config" --work-dir "$work_dir" "$@"
