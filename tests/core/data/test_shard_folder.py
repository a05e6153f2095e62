from pathlib import Path

import pytest

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.shard_folder import check_replaceable, default_output, stored_settings
from sentneuron.core.errors import OutputError, UsageError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("x/reviews.json.gz", "reviews.shards"),
        ("reviews.2018.CSV", "reviews.2018.shards"),
        ("reviews", "reviews.shards"),
        ("folder/", "folder.shards"),
        ("imdb", "imdb.shards"),
        (".json", ".json.shards"),
    ],
)
def test_the_folder_is_named_after_the_input_without_its_extensions(given, name):
    assert default_output([given]) == Path(name)


def test_the_current_folder_as_input_gives_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "books").mkdir()
    monkeypatch.chdir(tmp_path / "books")
    assert default_output(["."]) == Path("books.shards")


@pytest.mark.parametrize("inputs", [["-"], ["a.json", "b.json"], ["*.json"]])
def test_several_inputs_and_stdin_need_a_name(inputs):
    with pytest.raises(UsageError, match="-o"):
        default_output(inputs)


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_a_path_without_a_name_is_refused_even_with_force(output):
    with pytest.raises(OutputError, match="no name"):
        check_replaceable(Path(output), {}, force=True)


def test_what_does_not_change_the_content_is_no_setting():
    config = ShardConfig(inputs=("a",))
    other = ShardConfig(inputs=("a",), output=Path("x"), max_bad=0.5, on_error="fail", force=True)
    assert stored_settings(config, ["a"]) == stored_settings(other, ["a"])
