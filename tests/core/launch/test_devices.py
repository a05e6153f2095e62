import pytest

from sentneuron.core.errors import UsageError
from sentneuron.core.launch.devices import device_of, local_devices
from sentneuron.core.launch.place import Place


def place(local_rank=0, local_size=2):
    return Place(
        rank=local_rank, size=8, local_rank=local_rank, local_size=local_size, master_addr="h", master_port=29400
    )


@pytest.mark.parametrize(
    ("gpus", "device", "has", "devices"),
    [
        ("2", "auto", 8, ["cuda:0", "cuda:1"]),
        ("2", "cuda", 2, ["cuda:0", "cuda:1"]),
        ("all", "auto", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("6,7", "auto", 8, ["cuda:6", "cuda:7"]),
        ("7,0", "auto", 8, ["cuda:7", "cuda:0"]),
        ("3", "cpu", 0, ["cpu", "cpu", "cpu"]),
    ],
)
def test_gpus_and_device_say_where_each_process_works(gpus, device, has, devices):
    assert local_devices(gpus, device=device, count=lambda: has) == devices


def test_processes_on_the_cpu_need_no_look_at_the_gpus():
    def count():
        raise AssertionError("torch was asked")

    assert local_devices("2", device="cpu", count=count) == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("gpus", "device", "has", "message"),
    [
        ("8", "auto", 0, "--gpus 8: this machine has 0 GPUs"),
        ("2", "auto", 1, "--gpus 2: this machine has 1 GPU"),
        ("all", "cuda", 0, "--gpus all: this machine has 0 GPUs"),
        ("6,7", "auto", 7, "--gpus 6,7: this machine has 7 GPUs"),
        ("0", "auto", 8, "--gpus 0"),
        ("-1", "auto", 8, "--gpus -1"),
        ("two", "auto", 8, "--gpus two"),
        ("1,", "auto", 8, "--gpus 1,"),
        ("1,1", "auto", 8, "--gpus 1,1 names a GPU twice"),
        ("", "auto", 8, "--gpus "),
        ("2", "cuda:1", 8, "--gpus 2 with --device cuda:1"),
        ("2", "tpu", 8, "--gpus 2 with --device tpu"),
        ("all", "cpu", 8, "--gpus all with --device cpu"),
        ("0,1", "cpu", 8, "--gpus 0,1 with --device cpu"),
    ],
)
def test_what_this_machine_does_not_have_is_wrong_usage(gpus, device, has, message):
    with pytest.raises(UsageError) as error:
        local_devices(gpus, device=device, count=lambda: has)
    assert error.value.message == message
    assert error.value.hint


@pytest.mark.parametrize(
    ("given", "has", "device"),
    [
        ({}, 8, "cuda:1"),
        ({"gpus": "2"}, 8, "cuda:1"),
        ({"gpus": "6,7"}, 8, "cuda:7"),
        ({"gpus": "all"}, 2, "cuda:1"),
        ({}, 0, "cpu"),
        ({"device": "cpu"}, 8, "cpu"),
        ({"device": "cpu", "gpus": "2"}, 0, "cpu"),
        ({"is_bound": True}, 1, "cuda:0"),
    ],
)
def test_a_started_process_takes_the_device_of_its_local_rank(given, has, device):
    settings = {"gpus": None, "device": "auto", "is_bound": False} | given
    assert device_of(place(local_rank=1), **settings, count=lambda: has) == device


def test_a_process_alone_on_its_machine_may_name_its_device():
    only = place(local_size=1)
    assert device_of(only, gpus=None, device="cuda:3", is_bound=False, count=lambda: 8) == "cuda:3"


@pytest.mark.parametrize(
    ("given", "has", "message"),
    [
        ({"gpus": "8"}, 8, "--gpus 8, but 2 processes were started on this machine"),
        ({"gpus": "5,6,7"}, 8, "--gpus 5,6,7, but 2 processes were started on this machine"),
        ({"gpus": "6,7"}, 4, "--gpus 6,7: this machine has 4 GPUs"),
        ({"device": "cuda:1"}, 8, "--device cuda:1 for 2 processes on this machine"),
        ({}, 1, "2 processes were started on this machine, which has 1 GPU"),
        ({"device": "cuda"}, 0, "2 processes were started on this machine, which has 0 GPUs"),
    ],
)
def test_started_processes_that_do_not_fit_the_machine_are_wrong_usage(given, has, message):
    settings = {"gpus": None, "device": "auto", "is_bound": False} | given
    with pytest.raises(UsageError) as error:
        device_of(place(), **settings, count=lambda: has)
    assert error.value.message == message
