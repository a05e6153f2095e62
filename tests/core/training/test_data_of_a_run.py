"""What a run trains on: shards, text, the only folder here; and damage that is found in them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training import loop
from sentneuron.core.training.resume import load_run, resume_path


@pytest.mark.slow
def test_a_text_file_is_sharded_once_beside_the_output(config, tmp_path):
    (tmp_path / "reviews.txt").write_text("\n".join(f"a line of text, number {number}" for number in range(300)))
    said: list[str] = []
    settings = replace(config, data=str(tmp_path / "reviews.txt"), split=(6, 1, 1), max_steps=3)
    loop.train(settings, announce=said.append)
    assert any("sharding" in line and ".sentneuron" in line for line in said)
    folders = list((tmp_path / ".sentneuron").glob("reviews-*.shards"))
    assert len(folders) == 1
    said.clear()
    loop.train(replace(settings, resume="never"), announce=said.append)
    assert any("made by an earlier run" in line for line in said)


@pytest.mark.slow
def test_data_of_its_own_for_validation(config, tmp_path):
    (tmp_path / "held.txt").write_text("something else to predict\n" * 50)
    loop.train(replace(config, valid=str(tmp_path / "held.txt"), test=str(tmp_path / "held.txt")))
    training = load_model(config.save).training
    assert training["test_bits_per_byte"] == pytest.approx(training["valid_bits_per_byte"])


def test_too_little_text_is_an_error_with_the_numbers(config):
    with pytest.raises(DataError, match="less than one batch of 4000 streams x 16 bytes"):
        loop.train(replace(config, batch_size=4000))


@pytest.fixture
def edited(shards, tmp_path) -> Path:
    """The corpus with a test shard, which is read last of all, that was edited within its size."""
    folder = shutil.copytree(shards, tmp_path / "edited.shards")
    path = folder / "test/00000.parquet"
    content = bytearray(path.read_bytes())
    content[pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset + 60] ^= 1
    path.write_bytes(content)
    return folder


def test_a_full_check_finds_an_edited_shard_before_training(config, edited):
    config = replace(config, data=str(edited), check="full")
    said: list[str] = []
    with pytest.raises(DataError, match=r"test/00000\.parquet") as error:
        loop.train(config, announce=said.append)
    assert error.value.exit_code == 65
    assert said == [f"data: {edited}", f"checking every shard of {edited}"]
    assert list(config.save.parent.glob("model*")) == []


@pytest.mark.slow
def test_without_a_full_check_an_edited_shard_is_found_when_it_is_first_read(config, edited):
    with pytest.raises(DataError, match=r"test/00000\.parquet") as error:
        loop.train(replace(config, data=str(edited)))
    assert error.value.exit_code == 65
    assert load_run(resume_path(config.save)).step == 30  # the test shard is not needed before


def test_a_full_check_of_sound_shards_is_seen_and_changes_nothing(config, shards, tmp_path, assert_same_run):
    config = replace(config, max_steps=3)
    plain = replace(config, save=tmp_path / "plain.pt")
    loop.train(plain)
    notes: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None = None, note: str = "") -> None:
        if note == "checking shards":
            notes.append((done, total))

    loop.train(replace(config, check="full"), progress=progress)
    num_bytes = sum(path.stat().st_size for path in shards.glob("*/*.parquet"))
    assert notes[-1] == (num_bytes, num_bytes)
    assert_same_run(plain.save, config.save)


def test_stdin_is_to_be_sharded_first(config):
    with pytest.raises(UsageError, match="shard - -o"):
        loop.train(replace(config, data="-"))


def test_train_without_data_takes_the_only_shard_folder(config, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no \*\.shards folder here"):
        loop.train(replace(config, data=None))
    (tmp_path / "one.shards").symlink_to(shards)
    assert loop.train(replace(config, data=None)).steps == 30
    (tmp_path / "two.shards").symlink_to(shards)
    with pytest.raises(UsageError, match=r"several.*one\.shards, two\.shards"):
        loop.train(replace(config, data=None))
