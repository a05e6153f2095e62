import pytest

from sentneuron.core.errors import UsageError
from sentneuron.core.launch.cluster import expand_nodes, expand_tasks, find_place, find_slurm_step, is_slurm_task
from sentneuron.core.launch.place import Place

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29400",
}
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_STEP_NUM_NODES": "4",
    "SLURM_STEP_NODELIST": "gpu[08-10],login",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "2",
}
ONE_A_NODE = SLURM | {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


def test_torchruns_variables_name_the_place():
    assert find_place(TORCHRUN) == Place(
        rank=3, size=4, local_rank=1, local_size=2, master_addr="node1", master_port=29400
    )


def test_a_slurm_step_of_one_task_a_gpu_names_the_place():
    place = find_place(SLURM)
    assert place == Place(rank=5, size=7, local_rank=1, local_size=2, master_addr="gpu08", master_port=24711)


def test_processes_of_torchrun_under_slurm_are_torchruns():
    assert find_place(ONE_A_NODE | TORCHRUN).size == 4
    assert not is_slurm_task(ONE_A_NODE | TORCHRUN)
    assert is_slurm_task(SLURM)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"MASTER_ADDR": "left-over", "MASTER_PORT": "1"},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"},  # a batch script, outside any step
        {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"},  # interactive
        {"RANK": "0", "WORLD_SIZE": "2", "PET_NNODES": "2"},  # a pod of Kubeflow's PyTorchJob
        ONE_A_NODE,
    ],
)
def test_other_processes_have_no_place(environ):
    assert find_place(environ) is None


def test_one_task_a_node_is_a_step_but_no_place():
    step = find_slurm_step(ONE_A_NODE)
    assert (step.node, step.num_nodes, step.job, step.place.master_addr) == (2, 4, "4711", "gpu08")


@pytest.mark.parametrize("name", list(TORCHRUN))
def test_half_of_torchruns_variables_are_wrong_usage(name):
    environ = {key: value for key, value in TORCHRUN.items() if key != name}
    if name == "LOCAL_RANK":
        environ = environ | {"LOCAL_RANK": ""}
    with pytest.raises(UsageError, match=f"half set: .* without {name};"):
        find_place(environ)


@pytest.mark.parametrize("name", [name for name in SLURM if name != "SLURM_STEP_ID"])
def test_half_of_slurms_variables_are_wrong_usage(name):
    environ = {key: value for key, value in SLURM.items() if key != name}
    with pytest.raises(UsageError, match=f"half set: .* without {name};"):
        find_place(environ)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (TORCHRUN | {"RANK": "4"}, "rank 4 of 4"),
        (TORCHRUN | {"LOCAL_RANK": "2"}, "on this machine 2 of 2"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "8"}, "on this machine 1 of 8"),
        (TORCHRUN | {"WORLD_SIZE": "four"}, "WORLD_SIZE is 'four'"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, "SLURM_STEP_TASKS_PER_NODE=2"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x4)"}, "SLURM_STEP_NUM_TASKS=7"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "many"}, "SLURM_STEP_TASKS_PER_NODE is 'many'"),
        (SLURM | {"SLURM_STEP_NODELIST": "gpu[08-09],login"}, "SLURM_STEP_NODELIST=gpu"),
        (SLURM | {"SLURM_STEP_NODELIST": "gpu[08-"}, "SLURM_STEP_NODELIST is"),
        (SLURM | {"SLURM_NODEID": "4"}, "SLURM_NODEID=4"),
        (SLURM | {"SLURM_LOCALID": "2"}, "on this machine 2 of 2"),
        (SLURM | {"SLURM_PROCID": "7"}, "rank 7 of 7"),
    ],
)
def test_variables_that_contradict_each_other_are_wrong_usage(environ, message):
    with pytest.raises(UsageError) as error:
        find_place(environ)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("node1", ["node1"]),
        ("a,b-1.example.org", ["a", "b-1.example.org"]),
        ("node[01-03,07],gpu-[1-2]-x", ["node01", "node02", "node03", "node07", "gpu-1-x", "gpu-2-x"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
        ("rack[1-2]n[1-2]", ["rack1n1", "rack1n2", "rack2n1", "rack2n2"]),
    ],
)
def test_a_node_list_is_expanded_in_order(text, nodes):
    assert expand_nodes(text) == nodes


@pytest.mark.parametrize("text", ["", "a,,b", "a[", "a[]", "a[1-]", "a[x]", "a b"])
def test_a_node_list_that_is_none_is_wrong_usage(text):
    with pytest.raises(UsageError, match="SLURM_STEP_NODELIST"):
        expand_nodes(text)


@pytest.mark.parametrize(("text", "tasks"), [("8", [8]), ("2(x3),1", [2, 2, 2, 1]), ("1(x2),4(x2)", [1, 1, 4, 4])])
def test_a_task_layout_is_expanded(text, tasks):
    assert expand_tasks(text) == tasks


def test_two_steps_of_a_job_have_ports_of_their_own():
    first, second = (find_place(SLURM | {"SLURM_STEP_ID": step}).master_port for step in "01")
    assert first != second
    assert all(20_000 <= port < 50_000 for port in (first, second))
