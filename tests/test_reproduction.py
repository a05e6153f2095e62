"""The reproduction: its counting model is right, its stages are run once, and its page says what its figures say."""

import importlib
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.corpus import open_corpus
from sentneuron.core.data.shards import open_shards
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.training.resume import load_run
from sentneuron.core.transfer.features import featurize

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """Scripts import one another by their bare names, as they do when they are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


@pytest.fixture
def work(tmp_path):
    return importlib.import_module("reproduction_stages").Work(tmp_path, announce=lambda line: None)


def direct_probability(rows, context, byte):
    """Witten and Bell's interpolation, straight from its definition."""
    shorter = direct_probability(rows, context[1:], byte) if context else 1 / 256
    followers = Counter(
        row[place + len(context)]
        for row in rows
        for place in range(len(row) - len(context))
        if row[place : place + len(context)] == context
    )
    total, kinds = sum(followers.values()), len(followers)
    return (followers[byte] + kinds * shorter) / (total + kinds) if total else shorter


def test_the_ngram_model_is_the_direct_computation():
    ngram = importlib.import_module("ngram")
    rows = [b"abracadabra\xff\xff", b"a barbarian \x00"]
    text = b"abracadabrium zzz\xff"
    model = ngram.NgramModel(np.array([list(row) for row in rows], np.uint8), order=4)
    found = model.probabilities(np.frombuffer(text, np.uint8))
    wanted = [direct_probability(rows, text[max(0, i - 3) : i], byte) for i, byte in enumerate(text)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert model.bits_per_byte(np.frombuffer(text, np.uint8)) == pytest.approx(-np.log2(wanted).mean())


def test_the_ngram_models_probabilities_of_all_bytes_sum_to_one():
    ngram = importlib.import_module("ngram")
    model = ngram.NgramModel(np.frombuffer(b"the cat sat on the mat", np.uint8), order=3)
    for context in (b"th", b"zz", b"e "):
        every = [model.probabilities(np.frombuffer(context + bytes([byte]), np.uint8))[-1] for byte in range(256)]
        assert sum(every) == pytest.approx(1)


def test_a_stage_runs_once_and_again_only_with_other_settings(work, tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"scores": (0.5, len(calls))}

    first = work.result("stage", {"sizes": (1, 2)}, compute)
    assert first == {"scores": [0.5, 1]}  # plain values, as a later run reads them
    assert work.result("stage", {"sizes": [1, 2]}, compute) == first
    assert work.result("stage", {"sizes": [3]}, compute) == {"scores": [0.5, 2]}
    assert list(work.records()) == ["stage"]
    assert [path.name for path in tmp_path.iterdir()] == ["stage.json"]


def test_a_training_that_went_on_counts_with_all_its_seconds(work):
    work.result("training", {}, lambda: {"seconds": 1000.5})
    work.result("transfer", {}, lambda: {"seconds": {"features": 1000.5}})
    assert work.records()["training"]["seconds"] == 1000.5
    assert work.records()["transfer"]["seconds"] < 10


def test_a_stage_that_is_stopped_leaves_the_result_before(work):
    def stopped():
        raise KeyboardInterrupt

    work.result("stage", {"sizes": 1}, lambda: "kept")
    with pytest.raises(KeyboardInterrupt):
        work.result("stage", {"sizes": 2}, stopped)
    assert work.result("stage", {"sizes": 1}, lambda: "made again") == "kept"


@pytest.fixture
def tiny(tmp_path):
    """A scale that trains in a second, and shards for it."""
    scales = importlib.import_module("reproduction_scales")
    scale = replace(scales.SMALL, bytes={4: 65_536}, marks=4, evaluations=2, transferred=(1, 4), warmup=0)
    text = tmp_path / "text.txt"
    text.write_text("".join(f"the film number {number} was {number % 7} times as good\n" for number in range(3000)))
    shards = open_corpus(
        str(text),
        split=(8, 1, 1),
        cache=tmp_path,
        seed=0,
        progress=lambda done, total: None,
        announce=lambda line: None,
    )
    return scale, shards.name


@pytest.mark.slow
def test_the_weights_along_a_training_are_kept_and_a_trained_model_is_not_trained_again(work, tiny, monkeypatch):
    models = importlib.import_module("reproduction_models")
    scale, shards = tiny
    [record] = models.train_sizes(work, scale, shards, device="cpu")
    assert record["steps"] == 8
    assert [point["bytes"] for point in record["valid"]] == [32_768, 65_536]
    end = models.largest_path(work, scale)
    at_step_2 = load_run(end.with_name(f"{end.stem}.resume-{2:09}.pt")).model
    marks = models.mark_paths(work, scale)
    assert list(marks) == [2, 8]
    assert marks[8] == end
    early, late = load_model(marks[2]), load_model(end)
    assert early.training["bytes"] == 16_384
    assert not any(weight.equal(late.model.state_dict()[name]) for name, weight in early.model.state_dict().items())
    assert all(weight.equal(at_step_2[name]) for name, weight in early.model.state_dict().items())
    assert not list(end.parent.glob("*.resume-*.pt"))  # room on the disk
    assert models.mark_paths(work, scale) == marks
    monkeypatch.setattr(models.loop, "train", None)
    assert models.train_sizes(work, scale, shards, device="cpu") == [record]


@pytest.mark.slow
def test_the_ngram_model_counts_the_bytes_that_the_language_model_was_trained_on(tiny):
    compression = importlib.import_module("reproduction_compression")
    _, shards = tiny
    text = compression.training_bytes(shards, num_bytes=20_000, seed=0)
    assert text.shape == (64, 2 * 128)  # whole steps only
    whole = b"".join(
        bytes(shard.read_row_group(group)[0])
        for shard in open_shards(shards).split("train")
        for group in range(len(shard.row_group_bytes))
    )
    assert all(bytes(row[:100]) in whole for row in text)


@pytest.mark.parametrize("nhid", [32, 128, 512])
def test_the_lstm_beside_an_mlstm_has_as_many_parameters(nhid):
    models = importlib.import_module("reproduction_models")
    config = ModelConfig(nhid=nhid)
    lstm = models.equal_lstm(config)
    counts = [sum(one.numel() for one in LanguageModel(made).parameters()) for made in (config, lstm)]
    assert lstm.model == "LSTM"
    assert models.num_parameters(lstm) == counts[1]
    assert counts[1] == pytest.approx(counts[0], rel=0.02)


def test_both_poolings_of_one_pass_are_those_of_two():
    probing = importlib.import_module("probing")
    torch.manual_seed(0)
    runner = Runner(LanguageModel(ModelConfig(nhid=6, emsize=4)))
    texts = [b"\n good ", b"", b"\n a longer text than that ", b"x"]
    both = probing.featurize_both(runner, texts)
    for pooling in probing.POOLINGS:
        np.testing.assert_array_equal(both[pooling], featurize(runner, texts, pooling=pooling))


def test_a_gpu_brings_larger_sizes_at_full_scale_and_a_size_can_be_left_out():
    scales = importlib.import_module("reproduction_scales")
    assert max(scales.chosen_scale("full", has_gpu=True, changes={}).sizes) == 4096
    assert scales.chosen_scale("small", has_gpu=True, changes={}) == scales.SMALL
    changed = scales.chosen_scale("full", has_gpu=False, changes={1024: 0, 128: 7_000_000})
    assert changed.bytes == {128: 7_000_000, 256: 14_000_000, 512: 14_000_000}


def test_the_page_says_what_the_figures_say():
    page = importlib.import_module("reproduction_page")
    text = page.PAGE.read_text("utf-8")
    assert page.filled(text, page.newest_figures()) == text
    named = defaultdict(set)
    for kind, name, _ in importlib.import_module("pieces").PIECE.findall(text):
        named[kind].add(name)
    assert named["table"] == set(page.TABLES)
    assert named["value"] <= set(page.VALUES)


def test_no_measured_number_stands_in_the_page_by_hand():
    page = importlib.import_module("reproduction_page")
    text = importlib.import_module("pieces").prose(page.PAGE.read_text("utf-8"))
    aims, settings = {"82 %", "72 %", "88 %", "78 %"}, {"3e-3"}
    percentages_and_decimals = set(re.findall(r"\d+(?:\.\d+)? ?%|\d+\.\d+|\de-\d", text))
    assert percentages_and_decimals == aims | settings


def test_a_piece_that_nothing_renders_is_an_error():
    pieces = importlib.import_module("pieces")
    with pytest.raises(KeyError, match="nothing"):
        pieces.rendered("<!-- value: nothing -->3<!-- end -->", {}, tables={}, values={})


def test_the_figures_state_machine_versions_settings_and_seconds():
    page = importlib.import_module("reproduction_page")
    for path in BENCHMARKS.glob("results/reproduction_*.json"):
        figures = json.loads(path.read_text("utf-8"))
        assert path.stem == f"reproduction_{figures['scale']}"
        assert {"machine", "versions", "settings", "stages", "seconds"} <= set(figures)
        assert figures["settings"]["seed"] == 0
        assert figures["seconds"] == pytest.approx(sum(stage["seconds"] for stage in figures["stages"].values()))
    assert page.newest_figures()["scale"] in ("small", "full")
