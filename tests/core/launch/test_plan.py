import shlex

import pytest

from sentneuron.core.config import LaunchConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.launch.plan import LaunchPlan, make_plan, torchrun_line

TRAINJOB = {
    "PET_NNODES": "2",
    "PET_NPROC_PER_NODE": "8",
    "PET_NODE_RANK": "1",
    "PET_MASTER_ADDR": "job-node-0-0.job",
    "PET_MASTER_PORT": "29500",
}
ONE_A_NODE = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "4",
    "SLURM_STEP_NODELIST": "gpu[08-11]",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
}
VALUED = {"--gpus", "--nhid", "--save", "--nnodes", "--node-rank", "--rdzv-endpoint", "--rdzv-id", "--max-restarts"}


def plan(device="auto", environ=None, **settings):
    return make_plan(LaunchConfig(**settings), device=device, environ=environ or {}, count=lambda: 8)


def line(words, environ=None, **settings):
    made = plan(environ=environ, **settings)
    return torchrun_line(made, shlex.split(words), gpus=settings["gpus"], valued=VALUED, environ=environ or {})


def test_without_gpus_a_process_works_alone():
    assert plan() is None


def test_one_machine_needs_the_number_of_gpus_only():
    assert plan(gpus="2") == LaunchPlan(devices=["cuda:0", "cuda:1"])


def test_several_machines_meet_at_an_endpoint():
    made = plan(
        device="cpu", gpus="1", nnodes="2", node_rank=1, rdzv_endpoint="host:1234", rdzv_id="x", max_restarts=3,
        rank_timeout=7.5,
    )  # fmt: skip
    assert made == LaunchPlan(
        devices=["cpu"], min_nodes=2, max_nodes=2, node_rank=1, endpoint="host:1234", job="x", max_restarts=3,
        timeout=7.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "endpoint"), [("host", "host:29400"), ("[::1]:7", "[::1]:7"), ("[::1]", "[::1]:29400")]
)
def test_an_endpoint_has_a_default_port(given, endpoint):
    assert plan(gpus="1", nnodes="2:4", rdzv_endpoint=given).endpoint == endpoint


def test_the_number_of_machines_may_vary():
    made = plan(gpus="1", nnodes="2:4", rdzv_endpoint="host")
    assert (made.min_nodes, made.max_nodes, made.node_rank, made.nodes) == (2, 4, None, "2 to 4")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nnodes": "2"}, "--nnodes 2 without --gpus"),
        ({"node_rank": 0}, "--node-rank 0 without --gpus"),
        ({"rdzv_endpoint": "h"}, "--rdzv-endpoint h without --gpus"),
        ({"rdzv_id": "x"}, "--rdzv-id x without --gpus"),
        ({"max_restarts": 1}, "--max-restarts 1 without --gpus"),
        ({"gpus": "2", "node_rank": 0}, "--node-rank 0 without --nnodes"),
        ({"gpus": "2", "rdzv_endpoint": "h"}, "--rdzv-endpoint h without --nnodes"),
        ({"gpus": "2", "nnodes": "2"}, "--nnodes 2 without --rdzv-endpoint"),
        ({"gpus": "2", "nnodes": "2", "rdzv_endpoint": "h", "node_rank": 2}, "--node-rank 2 with --nnodes 2"),
        ({"gpus": "2", "nnodes": "2:4", "rdzv_endpoint": "h", "node_rank": 0}, "--node-rank 0 with --nnodes 2:4"),
        ({"gpus": "2", "nnodes": "0"}, "--nnodes 0"),
        ({"gpus": "2", "nnodes": "4:2"}, "--nnodes 4:2"),
        ({"gpus": "2", "nnodes": "two"}, "--nnodes two"),
        ({"gpus": "2", "nnodes": "2", "rdzv_endpoint": "h:port"}, "--rdzv-endpoint h:port"),
        ({"gpus": "2", "nnodes": "2", "rdzv_endpoint": "h:70000"}, "--rdzv-endpoint h:70000"),
        ({"gpus": "9"}, "--gpus 9: this machine has 8 GPUs"),
    ],
)
def test_options_that_make_no_sense_together_are_wrong_usage(settings, message):
    with pytest.raises(UsageError) as error:
        plan(**settings)
    assert error.value.message == message
    assert error.value.hint


def test_a_kubernetes_trainjob_says_everything():
    assert plan(environ=TRAINJOB) == LaunchPlan(
        devices=[f"cuda:{number}" for number in range(8)],
        min_nodes=2,
        max_nodes=2,
        node_rank=1,
        endpoint="job-node-0-0.job:29500",
    )


def test_what_is_given_goes_before_what_a_trainjob_says():
    made = plan(environ=TRAINJOB, gpus="4", nnodes="3", node_rank=2, rdzv_endpoint="other:1")
    assert (len(made.devices), made.max_nodes, made.node_rank, made.endpoint) == (4, 3, 2, "other:1")


@pytest.mark.parametrize("processes", ["auto", "gpu"])
def test_a_trainjob_of_one_machine_takes_all_gpus(processes):
    made = plan(environ=TRAINJOB | {"PET_NNODES": "1", "PET_NODE_RANK": "0", "PET_NPROC_PER_NODE": processes})
    assert made == LaunchPlan(devices=[f"cuda:{number}" for number in range(8)])


def test_one_slurm_task_on_each_node_is_a_launcher():
    made = plan(environ=ONE_A_NODE, gpus="8")
    assert (made.max_nodes, made.node_rank, made.endpoint, made.job) == (4, 2, "gpu08:24711", "4711")


def test_one_slurm_task_on_each_node_must_say_how_many_gpus():
    with pytest.raises(UsageError, match="SLURM started one task on each of 4 nodes"):
        plan(environ=ONE_A_NODE)


@pytest.mark.parametrize(
    ("words", "settings", "expected"),
    [
        (
            "train --gpus 2 --nhid 64 'a b'",
            {"gpus": "2"},
            "torchrun --standalone --nproc-per-node 2 -m sentneuron train --nhid 64 'a b'",
        ),
        (
            "train --gpus=all --max_restarts 2 --print-launch x",
            {"gpus": "all", "max_restarts": 2},
            "torchrun --standalone --max-restarts 2 --nproc-per-node 8 -m sentneuron train x",
        ),
        (
            "train --nnodes 2 --node-rank 1 --gpus 1 --rdzv-endpoint h:1 --rdzv-id j --fp16",
            {"gpus": "1", "nnodes": "2", "node_rank": 1, "rdzv_endpoint": "h:1", "rdzv_id": "j"},
            "torchrun --nnodes 2 --rdzv-backend static --rdzv-endpoint h:1 --rdzv-id j --node-rank 1 "
            "--nproc-per-node 1 -m sentneuron train --fp16",
        ),
        (
            "train --nnodes 2:4 --gpus 1 --rdzv-endpoint h",
            {"gpus": "1", "nnodes": "2:4", "rdzv_endpoint": "h"},
            "torchrun --nnodes 2:4 --rdzv-backend c10d --rdzv-endpoint h:29400 --rdzv-id sentneuron "
            "--nproc-per-node 1 -m sentneuron train",
        ),
        (
            "train --gpus 6,7",
            {"gpus": "6,7"},
            "CUDA_VISIBLE_DEVICES=6,7 torchrun --standalone --nproc-per-node 2 -m sentneuron train",
        ),
        (
            "train --save --gpus --gpus 1 -- --gpus",
            {"gpus": "1"},
            "torchrun --standalone --nproc-per-node 1 -m sentneuron train --save --gpus -- --gpus",
        ),
    ],
)
def test_the_torchrun_line_has_what_torchrun_takes_over(words, settings, expected):
    assert line(words, **settings) == expected


def test_gpus_are_numbered_among_the_visible_ones():
    assert line("train --gpus 0,2", environ={"CUDA_VISIBLE_DEVICES": "4,5,6"}, gpus="0,2").startswith(
        "CUDA_VISIBLE_DEVICES=4,6 "
    )


def test_gpus_from_a_settings_file_stay_the_processes_own_choice():
    assert line("train --config s.toml", gpus="6,7").startswith("torchrun ")
