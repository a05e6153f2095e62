"""`sentneuron train`: options reach the engine as one configuration, and its report is shown."""

import json
from pathlib import Path

import pytest

from sentneuron.cli import main
from sentneuron.core.config import LaunchConfig, ModelConfig, TrainConfig
from sentneuron.core.training import loop


@pytest.fixture
def engine(monkeypatch, train_report):
    """Replace the engine; holds the configurations that it was given."""
    configs = []

    def train(config, *, ranks, device, progress, announce):
        assert ranks.size == 1
        assert config.device in ("auto", device.type)
        configs.append(config)
        progress(64, 128, "2.250 bits/byte")
        announce("data: reviews.shards")
        return train_report

    monkeypatch.setattr(loop, "train", train)
    return configs


def test_every_default_is_that_of_the_configuration(engine):
    assert main(["train"]) == 0
    assert engine == [TrainConfig()]


def test_every_option_reaches_the_configuration(engine):
    words = (
        "train imdb --valid v.csv --test t.csv --split 10,2,1 --model GRU --nhid 32 --emsize 16 --nlayers 2 "
        "--dropout 0.25 --no-weight-norm --optim SGD --lr 0.01 --warmup 7 --clip 2 --epochs 3 --max-steps 9 "
        "--max-bytes 99 --max-hours 1.5 --batch-size 4 --seq-length 8 --persist-state document --save x.pt "
        "--save-every 30s --resume never --log-interval 5 --eval-every 6 --kernel reference "
        "--check full --device cpu --seed 11"
    )
    assert main(words.split()) == 0
    assert engine == [
        TrainConfig(
            data="imdb",
            valid="v.csv",
            test="t.csv",
            split=(10, 2, 1),
            model=ModelConfig(model="GRU", nhid=32, emsize=16, nlayers=2, dropout=0.25, weight_norm=False),
            optim="SGD",
            lr=0.01,
            warmup=7,
            clip=2,
            epochs=3,
            max_steps=9,
            max_bytes=99,
            max_hours=1.5,
            batch_size=4,
            seq_length=8,
            persist_state="document",
            save=Path("x.pt"),
            save_every="30s",
            resume="never",
            log_interval=5,
            eval_every=6,
            kernel="reference",
            check="full",
            device="cpu",
            seed=11,
        )
    ]


def test_a_tied_decoder_is_an_option(engine):
    assert main(["train", "--tied", "--emsize", "32", "--nhid", "32"]) == 0
    assert engine[0].model.tied


def test_recomputing_is_an_option(engine):
    assert main(["train", "--recompute"]) == 0
    assert engine == [TrainConfig(recompute=True)]


def test_half_precision_with_its_loss_scale_is_an_option(engine):
    assert main(["train", "--fp16", "--loss-scale", "1024", "--accumulate", "4"]) == 0
    assert main(["train", "--bf16"]) == 0
    assert engine == [TrainConfig(precision="fp16", loss_scale="1024", accumulate=4), TrainConfig(precision="bf16")]


def test_how_to_launch_reaches_the_configuration(settings_of):
    words = (
        "train --gpus 6,7 --nnodes 2 --node-rank 1 --rdzv-endpoint host:1234 --rdzv-id x --max-restarts 3 "
        "--rank-timeout 30"
    )
    assert settings_of(words.split()).launch == LaunchConfig(
        gpus="6,7",
        nnodes="2",
        node_rank=1,
        rdzv_endpoint="host:1234",
        rdzv_id="x",
        max_restarts=3,
        rank_timeout=30,
    )


def test_the_predecessors_names_are_understood(engine):
    assert main(["train", "--batch_size", "4", "--seq_length", "16", "--dynamic_loss_scale"]) == 0
    assert (engine[0].batch_size, engine[0].seq_length, engine[0].loss_scale) == (4, 16, "dynamic")


def test_the_report_is_a_table_on_stderr_and_an_object_on_stdout(engine, capsys):
    assert main(["train", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["valid_bits_per_byte"] == 2.5
    assert json.loads(said.out)["save"] == "model.pt"
    assert "2.5000" in said.err
    assert "128 bytes/s" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--fp16 --bf16", "--fp16 and --bf16"),
        ("--loss-scale 8", "--loss-scale 8 without --fp16"),
        ("--fp16 --loss-scale 8 --dynamic-loss-scale", "--loss-scale 8 and --dynamic-loss-scale"),
        ("--rank-timeout 0", "--rank-timeout is 0"),
        ("--max-restarts -1", "--max-restarts is -1"),
        ("--node-rank -1", "--node-rank is -1"),
        ("--nnodes 2", "--nnodes 2 without --gpus"),
        ("--gpus 2 --max-restarts 1 --resume never", "--resume never with --max-restarts 1"),
        ("--gpus 2 --nnodes 1:2 --resume never", "--resume never with --nnodes 1:2"),
        ("--print-launch", "--print-launch without --gpus"),
        ("--gpus 2 --device cuda:1", "--gpus 2 with --device cuda:1"),
        ("--lr 0", "--lr is 0"),
        ("--lr nan", "--lr is nan"),
        ("--nhid -1", "--nhid is -1"),
        ("--dropout 1", "--dropout is 1"),
        ("--warmup -1", "--warmup is -1"),
        ("--save-every soon", "--save-every is 'soon'"),
        ("--save-every 0m", "--save-every is 0"),
        ("--save-every 0", "--save-every is 0"),
        ("--split 1,x", "--split is '1,x'"),
        ("--model Transformer", "Transformer"),
        ("--seq-length 0", "--seq-length is 0"),
        ("--recompute --model GRU", "--recompute with --model GRU"),
    ],
)
def test_values_that_make_no_sense_are_wrong_usage_in_one_line(engine, capsys, words, message):
    assert main(["train", *words.split()]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert engine == []


def test_a_run_can_start_from_a_model_whose_architecture_it_takes(engine):
    assert main(["train", "imdb", "--init", "model.pt", "--dropout", "0.1"]) == 0
    assert engine == [TrainConfig(data="imdb", init="model.pt", model=ModelConfig(dropout=0.1))]


@pytest.mark.parametrize("words", ["--nhid 64", "--no-weight-norm", "--model LSTM"])
def test_an_architecture_is_not_said_twice(engine, words, capsys):
    assert main(f"train imdb --init model.pt {words}".split()) == 2
    assert "with --init: the architecture is that of model.pt; leave it out" in capsys.readouterr().err
    assert engine == []


def test_the_model_to_start_from_is_stronger_than_an_architecture_in_the_settings(
    engine, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SENTNEURON_TRAIN_NHID", "64")
    assert main(["train", "imdb", "--init", "model.pt"]) == 0
    settings = tmp_path / "both.toml"
    settings.write_text('[train]\ninit = "model.pt"\nnlayers = 2\n')
    assert main(["train", "--config", str(settings)]) == 2
    assert "--nlayers with --init" in capsys.readouterr().err
    assert len(engine) == 1
