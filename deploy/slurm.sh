#!/bin/bash
# clel-train on two nodes of eight GPUs each:
#
#   sbatch deploy/slurm.sh
#
# One task a node; the working directory is on a file system that all nodes
# share. srun ends all tasks when one fails, and they are started again: they
# continue from the last checkpoint.
#SBATCH --job-name=clel
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=48:00:00

PORT=2222
RESTARTS=20

export HOSTS
HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export PORT

train='
export TF_CONFIG=$(python - <<END
import json, os
hosts = os.environ["HOSTS"].split()
port = os.environ["PORT"]
print(json.dumps({
    "cluster": {"worker": [f"{host}:{port}" for host in hosts]},
    "task": {"type": "worker", "index": int(os.environ["SLURM_PROCID"])},
}))
END
)
exec clel-train --strategy=multi_worker --preset=cifar10_base \
  --workdir=runs/cifar10_base
'

for ((attempt = 0; attempt <= RESTARTS; attempt++)); do
  srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 bash -c "$train" && exit 0
done
exit 1
