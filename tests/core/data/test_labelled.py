import csv
import json

import pytest

from sentneuron.core.config import ReadConfig, TransferConfig
from sentneuron.core.data.labelled import load_labelled, split_by_hash
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError


def write_csv(path, rows, header=("label", "text")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def reviews(num_rows, start=0):
    return [(i % 2, f"review number {i}") for i in range(start, start + num_rows)]


def load(data="", **options):
    lines = []
    given = {"data": str(data)} if data else {}
    found = load_labelled(TransferConfig(model="m", **given, **options), TextRule(), announce=lines.append)
    return found, lines


def texts(examples):
    return [example.text for example in examples]


def test_a_folder_has_a_file_for_each_part_whatever_validation_is_called(tmp_path):
    for name, start in (("train.csv", 0), ("dev.csv", 10), ("test.csv", 20)):
        write_csv(tmp_path / name, reviews(4, start))
    found, _ = load(tmp_path)
    assert {part: texts(examples)[0] for part, examples in found.parts.items()} == {
        "train": "review number 0",
        "valid": "review number 10",
        "test": "review number 20",
    }
    assert found.classes == ["0", "1"]
    assert found.truth("train").tolist() == [0, 1, 0, 1]


def test_a_named_data_set_is_read_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTNEURON_DATA", str(tmp_path))
    for name, start in (("train", 0), ("val", 10), ("test", 20)):
        write_csv(tmp_path / "sst" / f"{name}.csv", reviews(4, start), header=("label", "sentence"))
    found, lines = load("sst")
    assert found.name == "sst"
    assert {part: len(examples) for part, examples in found.parts.items()} == {"train": 4, "valid": 4, "test": 4}
    assert any("text from sentence, label from label" in line for line in lines)


def test_without_validation_a_tenth_of_train_is_taken_and_a_missing_test_is_said(tmp_path):
    write_csv(tmp_path / "train.csv", reviews(400))
    found, lines = load(tmp_path)
    assert found.parts.keys() == {"train", "valid"}
    assert 20 <= len(found.parts["valid"]) <= 60
    assert sorted(texts(found.parts["train"] + found.parts["valid"])) == sorted(text for _, text in reviews(400))
    assert any("no test file" in line for line in lines)


def test_one_file_is_split_eight_to_one_to_one_and_equal_texts_stay_together(tmp_path):
    path = write_csv(tmp_path / "all.csv", reviews(500) + reviews(500))
    found, _ = load(path)
    sizes = {part: len(examples) for part, examples in found.parts.items()}
    assert sum(sizes.values()) == 1000
    assert 740 <= sizes["train"] <= 860
    assert 60 <= sizes["valid"] <= 140
    assert 60 <= sizes["test"] <= 140
    parts = [set(texts(examples)) for examples in found.parts.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_split_follows_the_seed_and_nothing_else(tmp_path):
    path = write_csv(tmp_path / "all.csv", reviews(200))
    backwards = write_csv(tmp_path / "backwards.csv", reviews(200)[::-1])
    first, again, other = (
        set(texts(load(p, seed=s)[0].parts["valid"])) for p, s in ((path, 1), (backwards, 1), (path, 2))
    )
    assert first == again
    assert first != other


def test_files_of_parts_can_be_named_one_by_one(tmp_path):
    paths = {name: write_csv(tmp_path / f"{name}.csv", reviews(4, i)) for i, name in enumerate("abc")}
    found, _ = load(train=paths["a"], valid=paths["b"], test=paths["c"])
    assert [texts(examples)[0][-1] for examples in found.parts.values()] == ["0", "1", "2"]
    assert found.name == paths["a"]


def test_a_named_test_file_leaves_a_tenth_of_train_for_validation(tmp_path):
    train, test = write_csv(tmp_path / "a.csv", reviews(300)), write_csv(tmp_path / "b.csv", reviews(4, 1000))
    found, _ = load(train=train, test=test)
    assert len(found.parts["test"]) == 4
    assert len(found.parts["train"]) > 8 * len(found.parts["valid"]) * 0.7


def test_a_test_part_without_labels_gives_no_test_score(tmp_path):
    train, valid = write_csv(tmp_path / "a.csv", reviews(20)), write_csv(tmp_path / "b.csv", reviews(20))
    test = write_csv(tmp_path / "c.csv", [("text only",)], header=("text",))
    empty = write_csv(tmp_path / "d.csv", [("", "text only")])
    for path in (test, empty):
        found, lines = load(train=train, valid=valid, test=path)
        assert found.parts.keys() == {"train", "valid"}
        assert "no labels in the test part: no test score" in lines
    found, _ = load(train=train, valid=valid, test=test, read=ReadConfig(label_key="label"))
    assert found.parts.keys() == {"train", "valid"}


def test_rows_without_text_or_label_are_counted(tmp_path):
    rows = [*reviews(6), ("1", ""), ("1", " <br> "), ("", "no label"), ("nan", "labelled nan")]
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "valid.csv", [*reviews(4), ("7", "a class that train has not")])
    found, _ = load(tmp_path)
    assert found.skipped == {"no text": 2, "no label": 1, "label in valid that train does not have": 1}
    assert found.classes == ["0", "1", "nan"]


def test_json_values_are_labels_and_broken_lines_are_counted(tmp_path):
    lines = [json.dumps({"reviewText": f"text {i}", "overall": float(i % 5 + 1)}) for i in range(200)]
    (tmp_path / "reviews.json").write_text("\n".join([*lines, "{broken"]) + "\n")
    found, announced = load(tmp_path / "reviews.json")
    assert found.classes == ["0", "1"]
    assert found.skipped["neither at most 2 nor at least 4 stars"] == 40
    assert sum(count for reason, count in found.skipped.items() if "stars" not in reason) == 1
    assert any("stars become classes" in line for line in announced)


def test_stars_stay_five_classes_where_asked_and_two_ratings_become_classes_where_asked(tmp_path):
    stars = write_csv(tmp_path / "stars.csv", [(i % 5 + 1, f"text {i}") for i in range(300)])
    assert load(stars, binarize=False)[0].classes == ["1", "2", "3", "4", "5"]
    ratings = write_csv(tmp_path / "ratings.csv", [((1, 10)[i % 2], f"text {i}") for i in range(300)])
    assert load(ratings)[0].classes == ["1", "10"]
    assert load(ratings, binarize=True)[0].classes == ["0", "1"]


def test_a_single_class_cannot_be_learned(tmp_path):
    path = write_csv(tmp_path / "one.csv", [("1", f"text {i}") for i in range(50)])
    with pytest.raises(DataError, match=r"in the train part all .* labels are '1'"):
        load(path)


def test_a_part_of_a_split_with_a_single_class_is_put_down_to_few_texts(tmp_path):
    path = write_csv(tmp_path / "few.csv", [("1" if i % 25 else "0", f"text {i}") for i in range(50)])
    with pytest.raises(DataError, match=r"in the (valid|test) part all .* labels are '1'") as refused:
        load(path)
    assert "--folds" in refused.value.hint


def test_files_of_parts_stand_instead_of_the_data(tmp_path):
    path = write_csv(tmp_path / "a.csv", reviews(4))
    with pytest.raises(UsageError, match=r"--train .* and --data"):
        load(tmp_path, train=path, valid=path)


def test_numbers_that_are_no_classes_are_refused(tmp_path):
    path = write_csv(tmp_path / "many.csv", [(i, f"text {i}") for i in range(500)])
    with pytest.raises(DataError, match="different labels"):
        load(path, read=ReadConfig(label_key="label"))


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("x", "y")], header=("id", "text"))
    with pytest.raises(DataError, match="no label column; its columns are id, text"):
        load(path)
    with pytest.raises(DataError, match="no column 'body'"):
        load(path, read=ReadConfig(text_key="body"))


def test_wrong_combinations_are_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", reviews(20))
    with pytest.raises(UsageError, match="--valid"):
        load(path, valid=path)
    with pytest.raises(UsageError, match="names a column twice"):
        load(path, read=ReadConfig(label_key="label,Label"))
    with pytest.raises(UsageError, match="--folds 3: there are 5 different texts"):
        load(write_csv(tmp_path / "two.csv", reviews(5) + reviews(5)), folds=3)
    with pytest.raises(UsageError, match=r"--folds 3: .* has a valid part and a test part"):
        load(train=path, valid=path, test=path, folds=3)
    with pytest.raises(InputNotFoundError, match="does not exist"):
        load(tmp_path / "nothing.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputNotFoundError, match="no train file"):
        load(tmp_path / "folder")
    for name in ("train.csv", "train.json"):
        (tmp_path / "folder" / name).write_text("x")
    with pytest.raises(UsageError, match="both train"):
        load(tmp_path / "folder")


def test_a_hash_split_keeps_the_order_inside_each_part(tmp_path):
    found, _ = load(write_csv(tmp_path / "a.csv", reviews(100)))
    for examples in split_by_hash(found.parts["train"], {"x": 1, "y": 1}, seed=0).values():
        assert [example.row for example in examples] == sorted(example.row for example in examples)


def test_data_to_be_cross_validated_is_left_whole(tmp_path):
    found, lines = load(write_csv(tmp_path / "a.csv", reviews(40)), folds=4)
    assert {part: len(examples) for part, examples in found.parts.items()} == {"train": 40}
    assert not any("split" in line for line in lines)


def test_test_labels_that_train_does_not_have_give_no_test_score(tmp_path):
    train, valid = write_csv(tmp_path / "a.csv", reviews(20)), write_csv(tmp_path / "b.csv", reviews(20))
    test = write_csv(tmp_path / "c.csv", [("-1", "text only"), ("", "another")])
    found, lines = load(train=train, valid=valid, test=test)
    assert found.parts.keys() == {"train", "valid"}
    assert "no labels of train in the test part: no test score" in lines


LABELS = ReadConfig(label_key="joy,anger")
HEADER = ("anger", "joy", "text")


def test_several_labels_stand_side_by_side_in_the_order_they_are_named(tmp_path):
    rows = [(0, 1, "a"), ("1.0", "false", "b"), ("True", "0.5", "c"), (0, 0.49, "d")]
    path = write_csv(tmp_path / "a.csv", rows, HEADER)
    found, lines = load(train=path, valid=path, read=LABELS)
    assert found.multi_label
    assert found.classes == ["joy", "anger"]
    assert found.truth("train").tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]
    assert [example.label for example in found.parts["train"]] == ["joy", "anger", "joy,anger", "none"]
    assert any("label from joy, anger" in line for line in lines)
    assert not load(train=path, valid=path, read=ReadConfig(label_key="joy"), binarize=False)[0].multi_label


def test_a_row_that_lacks_one_of_several_labels_has_none(tmp_path):
    rows = [(0, 1, "a"), (1, 0, "b"), ("", 1, "c"), (0, -1, "d"), ("", "", "e")]
    path = write_csv(tmp_path / "a.csv", rows, HEADER)
    found, _ = load(train=path, valid=path, read=LABELS)
    assert texts(found.parts["train"]) == ["a", "b"]
    assert found.skipped == {"no label": 6}


def test_several_labels_missing_on_test_give_no_test_score(tmp_path):
    path = write_csv(tmp_path / "train.csv", [(0, 1, "a"), (1, 0, "b")], HEADER)
    empty = write_csv(tmp_path / "b.csv", [("", "", "x"), (-1, -1, "y")], HEADER)
    bare = write_csv(tmp_path / "c.csv", [("x",)], header=("text",))
    for test in (empty, bare):
        found, lines = load(train=path, valid=path, test=test, read=LABELS)
        assert found.parts.keys() == {"train", "valid"}
        assert "no labels in the test part: no test score" in lines


def test_a_value_that_is_no_label_is_one_error_with_its_place(tmp_path):
    for value in ("yes", "-2"):
        path = write_csv(tmp_path / "a.csv", [(0, 1, "a"), (value, 1, "b")], HEADER)
        with pytest.raises(DataError, match=f"a.csv:3: anger is '{value}', of several labels each is 0 or 1"):
            load(path, read=LABELS)


def test_labels_without_a_difference_are_said_and_refused_where_none_has_one(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(0, 1, "a"), (0, 0, "b")], HEADER)
    _, lines = load(train=path, valid=path, read=LABELS)
    assert "the same for all texts of train, and nothing to learn: anger" in lines
    path = write_csv(tmp_path / "b.csv", [(0, 1, "a"), (0, 1, "b")], HEADER)
    with pytest.raises(DataError, match="every label is the same"):
        load(train=path, valid=path, read=LABELS)
    with pytest.raises(UsageError, match="--binarize with 2 labels"):
        load(train=path, valid=path, read=LABELS, binarize=True)
    whole = write_csv(tmp_path / "c.csv", [(0, 1, "a"), (1, 0, "b")], HEADER)
    nothing = write_csv(tmp_path / "d.csv", [("", 1, "a")], HEADER)
    with pytest.raises(DataError, match="in the valid part there are no labelled texts"):
        load(train=whole, valid=nothing, read=LABELS)


def test_format_encoding_and_columns_are_followed(tmp_path):
    lines = ["stars;body;text", *(f"{number % 2};caf\u00e9 {number};x" for number in range(40))]
    (tmp_path / "a.dat").write_bytes("\n".join(lines).encode("latin-1"))
    read = ReadConfig(format="csv", encoding="latin-1", text_key="body", label_key="stars")
    found, _ = load(tmp_path / "a.dat", read=read)
    assert "caf\u00e9 0" in [example.text for part in found.parts.values() for example in part]
    with pytest.raises(DataError):
        load(tmp_path / "a.dat", read=ReadConfig(format="ndjson", encoding="latin-1"))
