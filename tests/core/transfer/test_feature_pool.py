"""Features shared among ranks are those of one rank, and no rank waits for another that will not come."""

import csv
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.config import ClassifyConfig, ModelConfig
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classify import classify
from sentneuron.core.transfer.features import featurize

ROUNDS = [
    [f"review {number}: {'so ' * (number * 7 % 23)}good" for number in range(40)] + ["", "x", "", "long " * 60],
    ["", ""],
    [],
    ["a single text"],
]


@pytest.fixture
def share(run_ranks):
    """Compute features on several ranks; returns what featurizing_rank.py says of each."""

    def call(size, *, rounds=ROUNDS, pooling="last", **options):
        script = Path(__file__).with_name("featurizing_rank.py")
        return run_ranks(script, size, rounds=rounds, pooling=pooling, **options)

    return call


def features_alone(texts, pooling):
    torch.manual_seed(3)
    runner = Runner(LanguageModel(ModelConfig(nhid=12, emsize=8)).eval())
    return featurize(runner, [text.encode() for text in texts], pooling=pooling)


@pytest.mark.parametrize(
    ("size", "pooling", "piece"),
    [pytest.param(1, "last", 4096, marks=pytest.mark.slow), (2, "mean", 4096), (3, "last", 4)],
)
def test_several_ranks_give_the_features_of_one_in_order(share, size, pooling, piece):
    """With empty texts, none but empty ones, none at all, and fewer texts than ranks."""
    first, *_ = found = share(size, pooling=pooling, piece=piece)
    assert [rank.get("error") for rank in found] == [None] * size
    for texts, features in zip(ROUNDS, first["features"], strict=True):
        np.testing.assert_allclose(
            np.reshape(features, (len(texts), 12)), features_alone(texts, pooling), rtol=1e-6, atol=1e-5
        )


def test_each_byte_is_worked_on_once_and_each_rank_has_its_share(share):
    texts = ROUNDS[0]
    counts = [rank["bytes"] for rank in share(3, rounds=[texts])]
    assert sum(counts) == sum(map(len, texts))
    assert max(counts) - min(counts) < 20


def test_progress_on_rank_0_is_that_of_all(share):
    texts = ROUNDS[0]
    num_bytes = sum(map(len, texts))
    first, _ = share(2, rounds=[texts], beat=0.0)
    (seen,) = first["progress"]
    done = [count for count, total in seen]
    assert {total for count, total in seen} == {num_bytes}
    assert len(done) > 100
    assert done == sorted(done)
    assert done[-1] == num_bytes


def test_an_error_on_rank_0_between_rounds_sends_the_others_home(share):
    first, *others = share(3, between="error")
    assert (first["code"], first["error"]) == (65, "an error of the test")
    assert len(first["features"]) == 1
    assert [rank.get("error") for rank in others] == [None, None]


def test_an_error_on_rank_0_within_a_round_ends_the_others(share):
    first, second = share(2, at_first_byte={0: "error"}, timeout=90)  # longer than ranks may live: nobody waits
    assert (first["code"], first["error"]) == (65, "an error of the test")
    assert second["code"] == 74
    assert "lost another one" in second["error"]


@pytest.mark.parametrize(("fault", "told"), [("kill", {"signal": 9}), ("error", {"code": 65})])
def test_a_lost_server_is_an_error_on_rank_0(share, fault, told):
    first, second = share(2, at_first_byte={1: fault})
    assert told.items() <= second.items()
    assert first["code"] == 74
    assert "lost another one" in first["error"]
    assert first["features"] == []


@pytest.mark.slow
def test_slowness_is_waited_for(share):
    """A rank that works, and rank 0 between two rounds, may take longer than ranks wait for each other."""
    rounds = [["eight by"] * 4, ["more"] * 4]
    found = share(2, rounds=rounds, timeout=2, beat=0.2, between=3, at_every_byte={1: 0.4})
    assert [rank.get("error") for rank in found] == [None, None]


@pytest.mark.slow
def test_a_server_that_hangs_is_an_error_on_rank_0(share):
    first, _ = share(2, timeout=2, beat=0.2, at_first_byte={1: 6})
    assert first["code"] == 74
    assert first["features"] == []


def test_classifying_on_several_ranks_gives_the_rows_of_one(make_classifier, tmp_path, run_ranks):
    texts = [f"film {number}: {'dull ' * (number % 9)}" for number in range(30)] + ["", " <br> ", "007"]
    with open(tmp_path / "data.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((text, number % 2) for number, text in enumerate(texts))])
    settings = {"data": str(tmp_path / "data.csv"), "model": str(make_classifier())}
    alone = asdict(classify(ClassifyConfig(**settings, output=tmp_path / "alone.csv")))
    shared = {**settings, "output": str(tmp_path / "shared.csv")}
    first, *others = run_ranks(Path(__file__).with_name("featurizing_rank.py"), 3, classify=shared, chunk_rows=4)
    assert "error" not in first
    assert [rank["report"] for rank in others] == [None, None]
    for name in ("rows", "without_text", "predictions"):
        assert first["report"][name] == alone[name]
    assert first["report"]["scores"]["confusion"] == alone["scores"]["confusion"]
    with open(tmp_path / "alone.csv", newline="") as one, open(tmp_path / "shared.csv", newline="") as many:
        for expected, found in zip(csv.DictReader(one), csv.DictReader(many), strict=True):
            for name in ("text", "label", "prediction"):
                assert found[name] == expected[name]
            for name in ("probability", "neuron"):
                assert float(found[name] or 0) == pytest.approx(float(expected[name] or 0), abs=1e-5)


def test_what_rank_0_alone_can_see_is_its_error_alone(make_classifier, tmp_path, run_ranks):
    settings = {"data": str(tmp_path / "none.csv"), "model": str(make_classifier()), "output": str(tmp_path / "o.csv")}
    first, second = run_ranks(Path(__file__).with_name("featurizing_rank.py"), 2, classify=settings)
    assert first["code"] == 66
    assert second["report"] is None
