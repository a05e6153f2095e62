#!/bin/bash
# Trains on two machines of eight GPUs under SLURM, one task a GPU, until it is finished:
#
#     sbatch examples/slurm.sh reviews.shards
#
# Five minutes before the time limit SLURM sends SIGUSR1 to all tasks (without "B:", so not to this shell). They stop at
# the same step, save, and end with exit code 75; the job is then put back into the queue and goes on from there. The
# first argument is the shard folder; options of `sentneuron train` may follow, and win over those below.
#SBATCH --job-name=sentneuron
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -u

# A task that ends must not have the others killed: all end by themselves, within --rank-timeout if one is lost.
srun --kill-on-bad-exit=0 sentneuron train --fp16 --batch-size 256 --save model.pt "${@:-reviews.shards}"
code=$?

if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
