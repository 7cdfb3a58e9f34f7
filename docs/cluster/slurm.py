"""Grade on a Slurm cluster: scheduler and coordinator here, workers as Slurm jobs.

    pip install dask-jobqueue
    python docs/cluster/slurm.py 04-attention

An example to copy and change: it was not run on a Slurm cluster by us. The arguments are explained
in README.md beside this file.
"""

import subprocess
import sys

from dask_jobqueue import SLURMCluster

PROLOGUE = [
    "source /shared/grading/.venv/bin/activate",
    "export OMP_NUM_THREADS=1",
    "export GRADING_RESULTS=$HOME/.cache/grading-results",
]

if __name__ == "__main__":
    assignment = sys.argv[1]
    with SLURMCluster(
        queue="cpu",
        account="teaching",
        cores=16,
        processes=16,
        memory="32GB",
        walltime="02:00:00",
        interface="ib0",
        local_directory="/tmp",
        worker_extra_args=["--preload", "grading.cluster.worker"],
        job_script_prologue=PROLOGUE,
        scheduler_options={"port": 8786},
    ) as cluster:
        cluster.adapt(minimum=1, maximum=20)
        command = [sys.executable, "-m", "grading", "grade", assignment]
        waiting = ["--wait-for-workers", "3600"]  # the queue may be long
        done = subprocess.run([*command, "--scheduler", cluster.scheduler_address, *waiting])
    sys.exit(done.returncode)
