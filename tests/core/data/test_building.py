import errno
import os

import pytest

from sentneuron.core.data.building import atomic_folder
from sentneuron.core.errors import OutputError, StorageError

REVIEWS = [{"text": f"review {i} of {'long ' * (i % 7)}words", "label": "pos"} for i in range(120)]


def test_the_same_command_replaces_its_folder_and_other_settings_or_inputs_are_refused(
    tmp_path, write_lines, shard, contents
):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    shard(tmp_path / "out", source)
    write_lines(tmp_path / "in.json", REVIEWS[:50])
    assert shard(tmp_path / "out", source).num_kept == 50
    before = contents(tmp_path / "out")

    with pytest.raises(OutputError, match=r"other settings \(seed: 0 -> 1\); .*--force"):
        shard(tmp_path / "out", source, seed=1)
    with pytest.raises(OutputError, match="sources"):
        shard(tmp_path / "out", write_lines(tmp_path / "other.json", REVIEWS))
    assert contents(tmp_path / "out") == before

    shard(tmp_path / "out", source, seed=1, force=True)
    assert contents(tmp_path / "out") != before
    assert sorted(os.listdir(tmp_path)) == ["in.json", "other.json", "out"]


def test_force_replaces_a_damaged_shard_folder_but_never_one_that_holds_anything_else(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    shard(tmp_path / "out", source)
    (tmp_path / "out/manifest.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        shard(tmp_path / "out", source)
    shard(tmp_path / "out", source, force=True)

    (tmp_path / "out/thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.tex"):
        shard(tmp_path / "out", source, force=True)
    assert (tmp_path / "out/thesis.tex").read_text() == "years of work"


def test_an_empty_folder_may_be_filled_and_a_file_may_not_be_replaced(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    (tmp_path / "empty").mkdir()
    shard(tmp_path / "empty", source)
    assert (tmp_path / "empty/manifest.json").exists()
    with pytest.raises(OutputError, match="is a file"):
        shard(tmp_path / "in.json", source, force=True)
    with pytest.raises(OutputError, match="does not exist"):
        shard(tmp_path / "no/such/folder", source)


def test_a_full_disk_leaves_the_previous_folder_as_it_was(tmp_path, monkeypatch, write_lines, shard, contents):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    shard(tmp_path / "out", source)
    before = contents(tmp_path / "out")
    write_lines(tmp_path / "in.json", REVIEWS[:50])

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device \(.* MB free\)"):
        shard(tmp_path / "out", source)
    assert contents(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out"]


def test_two_runs_cannot_build_one_folder(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    with atomic_folder(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing"):
        shard(tmp_path / "out", source)
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out"]


def test_a_folder_that_a_killed_run_had_set_aside_is_put_back(tmp_path):
    (tmp_path / ".out.previous").mkdir()
    (tmp_path / ".out.previous/train").mkdir()
    with pytest.raises(RuntimeError, match="stopped"), atomic_folder(tmp_path / "out"):
        raise RuntimeError("stopped")
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert (tmp_path / "out/train").exists()
