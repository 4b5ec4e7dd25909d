#!/usr/bin/env bash
# Searches under Slurm, one task a GPU: the first one coordinates, all evaluate.
#
#   scripts/slurm_search.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of 'detnas search']
#
# GPUS (8), GPUS_PER_NODE (8) and CPUS_PER_TASK (5) say how many; GPUS_PER_NODE=0 evaluates on CPUs in
# GPUS tasks. SRUN_ARGS are further options of srun, as SRUN_ARGS="--quotatype=auto --time=3-0". PORT
# is where the tasks meet, by default one of the job's own. After a kill, or a task's end, the same
# command with --resume goes on; the number of tasks may change.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 4 ] || usage
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
slurm_tasks "$partition" "$job_name" search "$config" --work-dir "$work_dir" "$@"
