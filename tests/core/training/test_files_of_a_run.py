"""The files of a run: one writer, room for them, earlier resume files."""

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from sentneuron.core.errors import OutputError, StorageError
from sentneuron.core.lock import sole_writer
from sentneuron.core.training import files, loop
from sentneuron.core.training.resume import load_run, resume_path

Usage = namedtuple("Usage", "total used free")


@pytest.mark.slow
def test_a_second_run_on_one_output_is_refused_and_changes_nothing(config):
    loop.train(config)
    before = {path.name: path.read_bytes() for path in config.save.parent.glob("model*")}
    with sole_writer(config.save), pytest.raises(OutputError, match="is being written by another run"):
        loop.train(replace(config, resume="never"))
    assert {path.name: path.read_bytes() for path in config.save.parent.glob("model*")} == before


@pytest.mark.slow
def test_nothing_is_left_but_the_files_of_the_run(config):
    loop.train(config)
    assert {path.name for path in config.save.parent.iterdir()} == {"model.pt", "model.resume.pt", "model.log.jsonl"}


def test_a_disk_without_room_for_two_saves_is_said_before_work_starts(config, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, 100_000))
    with pytest.raises(StorageError, match=r"0\.1 MB free, and two saves take 0\.\d MB") as raised:
        loop.train(config)
    assert raised.value.exit_code == 74
    assert list(config.save.parent.glob("model*")) == []


@pytest.mark.slow
def test_the_room_that_is_asked_for_is_what_saves_take(config, monkeypatch):
    asked = []
    monkeypatch.setattr(files.RunFiles, "require_room", lambda self, num_bytes: asked.append(num_bytes))
    loop.train(replace(config, model=replace(config.model, nhid=100)))
    taken = config.save.stat().st_size + resume_path(config.save).stat().st_size
    assert asked[0] == pytest.approx(taken, rel=0.05)


@pytest.mark.slow
def test_a_disk_that_fills_up_is_warned_of_once(config, monkeypatch):
    free = iter([10**9, 10**9, *[20_000] * 9])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, next(free)))
    said: list[str] = []
    loop.train(config, announce=said.append)
    assert len([line for line in said if "0.0 MB are left for the next saves, 0.1 MB each" in line]) == 1


@pytest.mark.slow
def test_earlier_resume_files_are_kept_as_asked_for(config, tmp_path):
    loop.train(replace(config, keep=3))
    kept = sorted(path.name for path in tmp_path.glob("model.resume*"))
    assert kept == [
        "model.resume-000000021.pt",
        "model.resume-000000028.pt",
        "model.resume-000000030.pt",
        "model.resume.pt",
    ]
    assert load_run(tmp_path / kept[0]).step == 21
    again = replace(config, resume=str(tmp_path / kept[0]), save=tmp_path / "again.pt")
    assert loop.train(again).steps == 30
    whole, resumed = load_run(resume_path(config.save)), load_run(resume_path(again.save))
    assert all((whole.model[name] == resumed.model[name]).all() for name in whole.model)


@pytest.mark.slow
@pytest.mark.parametrize("eval_every", [3, None])
def test_a_run_that_dies_while_it_writes_its_first_model_goes_on(
    config, tmp_path, monkeypatch, assert_same_run, eval_every
):
    config = replace(config, eval_every=eval_every)
    whole = replace(config, save=tmp_path / "whole.pt")
    loop.train(whole)

    class KilledError(BaseException):
        pass

    def die(*args, **options):
        config.save.touch()
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(files.RunFiles, "write_model", die)
        with pytest.raises(KilledError):
            loop.train(config)
    loop.train(config)
    assert_same_run(whole.save, config.save)


@pytest.mark.slow
def test_a_name_like_a_glob_keeps_as_many_resume_files_as_another(config, tmp_path):
    loop.train(replace(config, keep=2, save=tmp_path / "a[1].pt"))
    assert sorted(path.name for path in tmp_path.glob("*resume-*")) == [
        "a[1].resume-000000028.pt",
        "a[1].resume-000000030.pt",
    ]
