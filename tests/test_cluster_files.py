"""The files for clusters, as far as they can be tested without one: examples/slurm.sh runs with a stand-in for SLURM,
examples/trainjob.yaml has the fields that Kubeflow Trainer asks for, and both hold command lines that `train`
understands."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sentneuron.cli import main
from sentneuron.core.launch.cluster import find_place
from sentneuron.core.launch.plan import make_plan

ROOT = Path(__file__).parents[1]
SLURM = ROOT / "examples/slurm.sh"
TRAINJOB = ROOT / "examples/trainjob.yaml"


def sbatch_options() -> dict[str, str]:
    """The script's options for sbatch; a flag's value is empty."""
    lines = [line.removeprefix("#SBATCH ") for line in SLURM.read_text().splitlines() if line.startswith("#SBATCH")]
    return dict(line.removeprefix("--").partition("=")[::2] for line in lines)


@pytest.fixture
def batch_job(tmp_path):
    """Runs the script as SLURM would, with srun and scontrol replaced: they write down their words; srun ends with the
    given code. Returns the script's exit code and the calls, in order."""
    calls = tmp_path / "calls"
    for name, ending in (("srun", 'exit "$SRUN_CODE"'), ("scontrol", "")):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/bash\nprintf "%q " {name} "$@" >> {calls}; echo >> {calls}\n{ending}\n')
        stub.chmod(0o755)

    def run(*arguments: str, code: int = 0) -> tuple[int, list[list[str]]]:
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "SLURM_JOB_ID": "4711", "SRUN_CODE": str(code)}
        done = subprocess.run(["bash", SLURM, *arguments], env=environment, cwd=tmp_path, capture_output=True)
        return done.returncode, [shlex.split(line) for line in calls.read_text().splitlines()]

    return run


def test_bash_finds_no_fault_in_the_slurm_script():
    done = subprocess.run(["bash", "-n", SLURM], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_sbatch_sees_every_option_of_the_script():
    lines = SLURM.read_text().splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first_command:] if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for line in lines if line.startswith("#SBATCH"))


def test_the_slurm_job_has_a_task_for_each_gpu_and_all_of_them_are_told_of_the_time_limit():
    options = sbatch_options()
    assert options["ntasks-per-node"] == options["gpus-per-node"]
    assert re.fullmatch(r"USR1@\d+", options["signal"])  # with "B:" only the batch shell would get it
    assert {"requeue", "open-mode"} <= options.keys()


def test_the_slurm_tasks_run_a_command_that_train_understands(batch_job, settings_of):
    _, [[srun, option, *words]] = batch_job()
    assert (srun, option, words[0]) == ("srun", "--kill-on-bad-exit=0", "sentneuron")
    settings = settings_of(words[1:])
    assert (settings.data, settings.precision, settings.launch.gpus) == ("reviews.shards", "fp16", None)


def test_the_slurm_tasks_find_each_other():
    options = sbatch_options()
    num_nodes, tasks = int(options["nodes"]), int(options["ntasks-per-node"])
    environ = {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_NODES": str(num_nodes),
        "SLURM_STEP_NUM_TASKS": str(num_nodes * tasks),
        "SLURM_STEP_NODELIST": "gpu[01-02]",
        "SLURM_STEP_TASKS_PER_NODE": f"{tasks}(x{num_nodes})",
        "SLURM_NODEID": "1",
        "SLURM_PROCID": str(num_nodes * tasks - 1),
        "SLURM_LOCALID": str(tasks - 1),
    }
    place = find_place(environ)
    assert (place.rank, place.size, place.local_rank, place.master_addr) == (15, 16, 7, "gpu01")


def test_the_slurm_script_hands_its_words_to_train(batch_job, settings_of):
    _, [words] = batch_job("my other.shards", "--nhid", "1024")
    settings = settings_of(words[words.index("sentneuron") + 1 :])
    assert (settings.data, settings.model.nhid, settings.batch_size) == ("my other.shards", 1024, 256)


@pytest.mark.parametrize("code", [0, 1, 2, 65, 74, 75, 137])
def test_a_slurm_job_is_put_back_into_the_queue_only_when_it_was_stopped(batch_job, code):
    ended, calls = batch_job(code=code)
    assert ended == code
    assert calls[1:] == ([["scontrol", "requeue", "4711"]] if code == 75 else [])


TWO_TASKS = """#!/bin/bash
# Two tasks on this machine; both are told of the time limit when the log has its first line.
shift
for task in 0 1; do
    SLURM_PROCID=$task SLURM_LOCALID=$task "$@" & tasks[task]=$!
done
if [ "$TIME_LIMIT" ]; then
    until [ -s model.log.jsonl ] || ! kill -0 "${tasks[0]}"; do sleep 0.05; done
    kill -USR1 "${tasks[@]}"
fi
for task in 0 1; do wait "${tasks[task]}" || code=$?; done
exit "${code:-0}"
"""


@pytest.mark.slow
def test_the_tasks_of_a_slurm_job_stop_before_the_time_limit_and_go_on_when_it_is_started_again(tmp_path, monkeypatch):
    programs, calls = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    stubs = {
        "srun": TWO_TASKS,
        "scontrol": f'#!/bin/bash\necho "$@" >> {calls}\n',
        "sentneuron": f'#!/bin/bash\nexec {sys.executable} -m sentneuron "$@"\n',
    }
    for name, text in stubs.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    Path("reviews.txt").write_text("\n".join(f"The film of the year {number} was a joy" for number in range(2000)))
    assert main(["shard", "reviews.txt", "--shards", "8", "--split", "6,1,1", "--quiet"]) == 0
    environ = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_NODEID": "0",
    }
    small = (
        "--device cpu --nhid 8 --emsize 4 --batch-size 8 --seq-length 16 --epochs 99 --max-steps 100 --log-interval 1"
    )

    def run(**more: str) -> tuple[int, int]:
        done = subprocess.run(["bash", SLURM, "reviews.shards", *small.split()], env=environ | more, timeout=200)
        return done.returncode, json.loads(Path("model.log.jsonl").read_text().splitlines()[-1])["step"]

    code, step = run(TIME_LIMIT="1")
    assert (code, calls.read_text()) == (75, "requeue 4711\n")
    assert 0 < step < 100
    assert run(TIME_LIMIT="") == (0, 100)
    assert calls.read_text() == "requeue 4711\n"


@pytest.fixture
def documents() -> tuple[dict, dict]:
    """The TrainingRuntime and the TrainJob."""
    runtime, job = yaml.safe_load_all(TRAINJOB.read_text())
    return runtime, job


def test_the_train_job_and_its_runtime_are_of_one_kind_and_find_each_other(documents):
    runtime, job = documents
    assert {document["apiVersion"] for document in documents} == {"trainer.kubeflow.org/v1alpha1"}
    assert job["kind"] == "TrainJob"
    assert job["spec"]["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org",
        "kind": runtime["kind"],
        "name": runtime["metadata"]["name"],
    }
    assert runtime["kind"] == "TrainingRuntime"
    assert all(re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", document["metadata"]["name"]) for document in documents)


def test_the_train_job_has_no_field_that_trainer_does_not_know(documents):
    _, job = documents
    assert job["spec"].keys() <= {
        "runtimeRef",
        "initializer",
        "trainer",
        "runtimePatches",
        "suspend",
        "activeDeadlineSeconds",
        "managedBy",
    }
    assert job["spec"]["trainer"].keys() <= {
        "image",
        "command",
        "args",
        "env",
        "numNodes",
        "resourcesPerNode",
        "numProcPerNode",
    }


def test_the_runtime_is_a_torch_one_whose_pods_have_what_they_mount_and_time_to_save(documents):
    runtime, _ = documents
    assert "torch" in runtime["spec"]["mlPolicy"]
    [job] = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    pod = job["template"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert (job["name"], container["name"]) == ("node", "node")  # where Trainer puts command and variables
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 30
    assert runtime["spec"]["template"]["spec"]["failurePolicy"]["maxRestarts"] > 0


def test_the_train_job_runs_a_command_that_train_understands_on_the_gpus_it_asks_for(documents, settings_of):
    _, job = documents
    trainer = job["spec"]["trainer"]
    program, *words = [*trainer["command"], *trainer["args"]]
    assert program == "sentneuron"
    settings = settings_of(words)
    assert (settings.data, settings.precision) == ("reviews.shards", "fp16")
    assert int(settings.launch.gpus) == trainer["numProcPerNode"]
    assert int(settings.launch.gpus) == trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"]


def test_the_pods_of_the_train_job_meet_each_other(documents, settings_of):
    _, job = documents
    trainer, name = job["spec"]["trainer"], job["metadata"]["name"]
    environ = {  # what Trainer's torch policy sets
        "PET_NNODES": str(trainer["numNodes"]),
        "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
        "PET_NODE_RANK": "1",
        "PET_MASTER_ADDR": f"{name}-node-0-0.{name}",
        "PET_MASTER_PORT": "29400",
    }
    settings = settings_of([*trainer["command"], *trainer["args"]][1:])
    assert find_place(environ) is None
    plan = make_plan(settings.launch, device=settings.device, environ=environ, count=lambda: 8)
    assert (plan.min_nodes, plan.max_nodes, plan.node_rank, len(plan.devices)) == (2, 2, 1, 8)
    assert plan.endpoint == "sentneuron-node-0-0.sentneuron:29400"
