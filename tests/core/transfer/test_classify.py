"""What `classify` writes, row by row, and what it reports; what it refuses is in test_classify_refusals."""

import csv
import gzip
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ClassifyConfig, ReadConfig
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.transfer import classify as engine
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.classify import classify

pytestmark = pytest.mark.usefixtures("_here")

TEXTS = ["I loved it", "", 'dull, "flat"\nand long', " <br> ", "Crème brûlée 😀", "NA", "007", "x" * 300]
NO_TEXT = {1, 3}


def write_csv(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content, newline="")))


@pytest.fixture
def data(tmp_path):
    return write_csv(tmp_path / "data.csv", ["id", "text"], enumerate(TEXTS))


def test_every_row_comes_out_in_order_untouched_with_its_result(data, model, tmp_path):
    report = classify(ClassifyConfig(data=data, model=model))
    rows = read_csv((tmp_path / "data.classified.csv").read_text())
    assert list(rows[0]) == ["id", "text", "prediction", "probability", "neuron"]
    assert [(row["id"], row["text"]) for row in rows] == [(str(i), text) for i, text in enumerate(TEXTS)]
    classifier = Classifier.load(tmp_path / "classifier.pt")
    scored = classifier.score(TEXTS)
    for i, row in enumerate(rows):
        if i in NO_TEXT:
            assert row["prediction"] == row["probability"] == row["neuron"] == ""
        else:
            assert float(row["probability"]) == pytest.approx(scored.probabilities[i, 1], abs=1e-5)
            assert row["prediction"] == ("1" if scored.probabilities[i, 1] > 0.5 else "0")
            assert float(row["neuron"]) == pytest.approx(scored.neuron[i], abs=1e-5)
    assert (report.rows, report.without_text) == (8, 2)
    assert sum(report.predictions.values()) == 6
    assert len({row["prediction"] for row in rows}) == 3, "the texts should not all be called the same"


def test_probabilities_stand_in_an_npy_file_with_nan_where_there_is_no_text(data, model, tmp_path):
    report = classify(ClassifyConfig(data=data, model=model))
    probabilities = np.load(tmp_path / "data.probs.npy")
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (8,))
    assert set(np.flatnonzero(np.isnan(probabilities))) == NO_TEXT
    assert [path.name for path in report.outputs] == ["data.classified.csv", "data.probs.npy"]
    (tmp_path / "data.classified.csv").unlink()
    classify(ClassifyConfig(data=data, model=model, output_format="npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "data.probs.npy"), probabilities)
    assert not (tmp_path / "data.classified.csv").exists()


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_precision_changes_the_probabilities_by_little_and_not_by_nothing(data, model, tmp_path, precision):
    classify(ClassifyConfig(data=data, model=model))
    exact = np.load(tmp_path / "data.probs.npy")
    classify(ClassifyConfig(data=data, model=model, precision=precision))
    found = np.load(tmp_path / "data.probs.npy")
    assert not np.array_equal(found, exact, equal_nan=True)
    np.testing.assert_allclose(found, exact, atol=0.1)


def test_the_chunk_size_does_not_show(data, model, tmp_path, monkeypatch):
    classify(ClassifyConfig(data=data, model=model))
    rows = read_csv((tmp_path / "data.classified.csv").read_text())
    for name, size in (("CHUNK_ROWS", 3), ("CHUNK_CHARACTERS", 12)):
        monkeypatch.setattr(engine, name, size)
        report = classify(ClassifyConfig(data=data, model=model))
        again = read_csv((tmp_path / "data.classified.csv").read_text())
        assert [row["prediction"] for row in again] == [row["prediction"] for row in rows]
        for row, other in zip(rows, again, strict=True):
            if row["probability"]:
                assert float(row["probability"]) == pytest.approx(float(other["probability"]), abs=1e-5)
        assert report.rows == len(np.load(tmp_path / "data.probs.npy")) == 8


def test_names_that_the_input_has_get_a_prefix(model, tmp_path):
    header = ["text", "prediction", "neuron", "sentneuron_neuron"]
    data = write_csv(tmp_path / "a.csv", header, [("fine", "mine", "1", "2")])
    classify(ClassifyConfig(data=data, model=model))
    row = read_csv((tmp_path / "a.classified.csv").read_text())[0]
    assert list(row) == [*header, "sentneuron_prediction", "probability", "sentneuron_sentneuron_neuron"]
    assert row["prediction"] == "mine"


def test_json_comes_out_as_json_with_its_values(model, tmp_path):
    records = [{"text": "good", "deep": {"a": [1, None]}, "n": 1.5}, {"text": None, "late": True}, {"text": 5}]
    with gzip.open(tmp_path / "reviews.json.gz", "wt") as file:
        file.write("\n".join(json.dumps(record) for record in records) + "\n")
    report = classify(ClassifyConfig(data="reviews.json.gz", model=model))
    rows = [json.loads(line) for line in (tmp_path / "reviews.classified.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in row.items() if k in record} for row, record in zip(rows, records, strict=True)] == records
    assert [row["prediction"] is None for row in rows] == [False, True, True]
    assert report.without_text == 2


def test_parquet_comes_out_as_parquet_with_its_types(model, tmp_path):
    table = pa.table({"text": pa.array(TEXTS, pa.large_string()), "n": pa.array(range(8), pa.int16())})
    pq.write_table(table, tmp_path / "data.parquet")
    classify(ClassifyConfig(data="data.parquet", model=model))
    out = pq.read_table(tmp_path / "data.classified.parquet")
    assert out.select(["text", "n"]).equals(table)
    assert out.schema.field("probability").type == pa.float32()
    assert {i for i, value in enumerate(out["prediction"].to_pylist()) if value is None} == NO_TEXT


def test_a_text_file_has_a_row_for_each_line_blank_ones_too(model, tmp_path):
    (tmp_path / "lines.txt").write_text("good\n\nbad, very\n")
    classify(ClassifyConfig(data="lines.txt", model=model))
    rows = read_csv((tmp_path / "lines.classified.csv").read_text())
    assert [row["text"] for row in rows] == ["good", "", "bad, very"]
    assert [bool(row["prediction"]) for row in rows] == [True, False, True]


def test_one_text_goes_to_stdout_and_nowhere_else(model, tmp_path):
    out = io.BytesIO()
    report = classify(ClassifyConfig(text='so "good", é', model=model), stdout=out)
    rows = read_csv(out.getvalue().decode())
    assert rows[0]["text"] == 'so "good", é'
    assert report.result["prediction"] == rows[0]["prediction"]
    assert report.outputs == []
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.pt"]
    assert classify(ClassifyConfig(text="", model=model)).result["prediction"] is None


def test_a_named_output_is_the_only_one_and_names_its_format(data, model, tmp_path):
    for name in ("x.csv", "x.jsonl", "x.parquet", "x.npy"):
        report = classify(ClassifyConfig(data=data, model=model, output=tmp_path / name))
        assert report.outputs == [tmp_path / name]
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == pq.read_table("x.parquet").num_rows == 8
    np.testing.assert_allclose(np.load("x.npy"), pq.read_table("x.parquet")["probability"].to_numpy(), rtol=1e-4)
    assert not (tmp_path / "data.classified.csv").exists()
    assert not (tmp_path / "data.probs.npy").exists()
    out = io.BytesIO()
    classify(ClassifyConfig(data=data, model=model, output=Path("-"), output_format="jsonl"), stdout=out)
    assert len(out.getvalue().splitlines()) == 8


def test_a_folder_is_classified_into_one_file(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.csv", "a.csv"):
        write_csv(tmp_path / "in" / name, ["text"], [(f"from {name}",)])
    classify(ClassifyConfig(data="in", model=model, output=tmp_path / "all.csv"))
    assert [row["text"] for row in read_csv((tmp_path / "all.csv").read_text())] == ["from a.csv", "from b.csv"]
    with pytest.raises(UsageError, match="2 files"):
        classify(ClassifyConfig(data="in", model=model))
    write_csv(tmp_path / "in" / "c.csv", ["text", "more"], [("x", "y")])
    with pytest.raises(DataError, match="other columns"):
        classify(ClassifyConfig(data="in", model=model, output=tmp_path / "all.csv"))
    classify(ClassifyConfig(data="in", model=model, output=tmp_path / "all.jsonl"))
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3


def test_without_data_the_test_sentences_of_sst_are_classified(model, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTNEURON_DATA", str(tmp_path))
    (tmp_path / "sst").mkdir()
    write_csv(tmp_path / "sst" / "test.csv", ["label", "sentence"], [(i % 2, f"sentence {i}") for i in range(20)])
    lines = []
    report = classify(ClassifyConfig(model=model), announce=lines.append)
    assert lines[0] == f"classifying sst (its test file) with {model}"
    assert report.rows == report.scores["rows"] == 20
    assert (tmp_path / "sst.classified.csv").exists()


def test_labels_that_are_classes_are_scored(model, tmp_path):
    texts = [f"text number {i}" for i in range(30)]
    truth = Classifier.load(tmp_path / "classifier.pt").score(texts).probabilities.argmax(axis=1)
    rows = [(f"{label}.0", text) for label, text in zip(truth, texts, strict=True)]
    rows[0] = (f"{1 - truth[0]}", texts[0])
    report = classify(ClassifyConfig(data=write_csv(tmp_path / "a.csv", ["label", "text"], rows), model=model))
    assert report.scores["rows"] == 30
    assert report.scores["accuracy"] == pytest.approx(29 / 30)
    assert report.scores["classes"] == ["0", "1"]


def test_labels_that_are_no_classes_are_said_and_harm_nothing(model, tmp_path):
    lines = []
    data = write_csv(tmp_path / "a.csv", ["label", "text"], [("yes", "a"), ("no", "b")])
    report = classify(ClassifyConfig(data=data, model=model), announce=lines.append)
    assert report.scores is None
    assert "2 of 2 labels are not among the classes: not scored" in lines


def test_probabilities_between_two_limits_are_neutral(data, model, tmp_path):
    classify(ClassifyConfig(data=data, model=model))
    plain = read_csv((tmp_path / "data.classified.csv").read_text())
    values = sorted(float(row["probability"]) for row in plain if row["probability"])
    low, high = values[1] - 1e-6, values[3] + 1e-6
    report = classify(ClassifyConfig(data=data, model=model, neutral=(low, high)))
    rows = read_csv((tmp_path / "data.classified.csv").read_text())
    assert report.predictions["neutral"] == 3
    for row in rows:
        if row["probability"]:
            assert (row["prediction"] == "neutral") == (low <= float(row["probability"]) <= high)


def test_the_second_regression_decides_where_asked_with_as_many_neurons_as_transferred(data, model):
    classify(ClassifyConfig(data=data, model=model))
    everything = np.load("data.probs.npy")
    classify(ClassifyConfig(data=data, model=model, neurons=2))
    assert np.nanmax(np.abs(np.load("data.probs.npy") - everything)) > 1e-3
    with pytest.raises(UsageError, match=r"--neurons 3: .* with --neurons 2"):
        classify(ClassifyConfig(data=data, model=model, neurons=3))


def test_more_classes_have_a_probability_each(data, make_classifier, tmp_path):
    model = str(make_classifier(("bad", "good", "odd")))
    classify(ClassifyConfig(data=data, model=model))
    rows = read_csv((tmp_path / "data.classified.csv").read_text())
    names = ["probability_bad", "probability_good", "probability_odd"]
    assert list(rows[0]) == ["id", "text", "prediction", *names, "neuron"]
    values = [float(rows[0][name]) for name in names]
    assert sum(values) == pytest.approx(1, abs=1e-5)
    assert rows[0]["prediction"] == names[int(np.argmax(values))].removeprefix("probability_")
    assert np.load(tmp_path / "data.probs.npy").shape == (8, 3)
    with pytest.raises(UsageError, match="--neutral with 3 classes"):
        classify(ClassifyConfig(data=data, model=model, neutral=(0.4, 0.6)))


@pytest.fixture
def emotions(make_classifier):
    return str(make_classifier(("anger", "joy"), multi_label=True))


def test_several_labels_are_named_together_and_have_a_probability_each(data, emotions, tmp_path):
    report = classify(ClassifyConfig(data=data, model=emotions))
    rows = read_csv((tmp_path / "data.classified.csv").read_text())
    assert list(rows[0])[2:] == ["prediction", "probability_anger", "probability_joy", "neuron"]
    probabilities = np.load(tmp_path / "data.probs.npy")
    assert probabilities.shape == (8, 2)
    for i, row in enumerate(rows):
        if i not in NO_TEXT:
            holds = [name for name, value in zip(("anger", "joy"), probabilities[i], strict=True) if value > 0.5]
            assert row["prediction"] == (",".join(holds) or "none")
    assert report.predictions == Counter(row["prediction"] for row in rows if row["prediction"])
    assert {"none", "anger,joy"} <= report.predictions.keys()
    with pytest.raises(UsageError, match="--neutral with 2 labels"):
        classify(ClassifyConfig(data=data, model=emotions, neutral=(0.4, 0.6)))


def test_several_labels_are_scored_where_the_input_has_them_all(emotions, tmp_path):
    probabilities = Classifier.load(tmp_path / "classifier.pt").score(TEXTS).probabilities
    truth = (probabilities > 0.5).astype(int)
    rows = [(*labels, text) for labels, text in zip(truth.tolist(), TEXTS, strict=True)]
    for header, keys in ((["Anger", "JOY", "text"], "auto"), (["a", "b", "text"], "a,b")):
        write_csv(tmp_path / "labelled.csv", header, rows)
        read, lines = ReadConfig(label_key=keys), []
        report = classify(ClassifyConfig(data="labelled.csv", model=emotions, read=read), announce=lines.append)
        said = "labelled.csv: the classifier's labels are columns, too: Anger, JOY"
        assert (said in lines) == (keys == "auto")
        assert report.scores["rows"] == 6
        assert report.scores["jaccard"] == report.scores["labels"]["joy"]["accuracy"] == 1
        assert report.scores["classes"] == ["anger", "joy"]
    write_csv(tmp_path / "less.csv", ["anger", "text"], [row[1:] for row in rows])
    assert classify(ClassifyConfig(data="less.csv", model=emotions)).scores is None


def test_the_pooling_of_the_classifier_is_followed(data, make_classifier):
    found = {}
    for pooling in ("last", "mean"):
        classify(ClassifyConfig(data=data, model=str(make_classifier(pooling=pooling))))
        found[pooling] = np.load("data.probs.npy")
    assert np.nanmax(np.abs(found["last"] - found["mean"])) > 1e-3


def test_the_report_says_how_much_was_read_and_how_fast(data, model, tmp_path):
    report = classify(ClassifyConfig(data=data, model=model))
    assert report.num_bytes == (tmp_path / "data.csv").stat().st_size
    assert report.rows_per_second * report.seconds == pytest.approx(8)
    assert report.bytes_per_second * report.seconds == pytest.approx(report.num_bytes)


def test_formulas_in_a_text_are_made_safe_where_asked(model, tmp_path):
    path = write_csv(tmp_path / "data.csv", ["text"], [("=cmd()",), ("good",)])
    for excel_safe, shown in ((False, "=cmd()"), (True, "'=cmd()")):
        classify(ClassifyConfig(data=path, model=model, excel_safe=excel_safe))
        assert read_csv((tmp_path / "data.classified.csv").read_text())[0]["text"] == shown


def test_the_columns_and_the_encoding_that_are_named_are_taken(model, tmp_path):
    content = "text,body,label,mark\nwrong,Crème,x,1\nwrong,dull,y,0\n"
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    read = ReadConfig(encoding="latin-1", text_key="body", label_key="mark")
    report = classify(ClassifyConfig(data="a.csv", model=model, read=read))
    scored = Classifier.load(tmp_path / "classifier.pt").score(["Crème", "dull"]).probabilities[:, 1]
    rows = read_csv((tmp_path / "a.classified.csv").read_text())
    assert [float(row["probability"]) for row in rows] == pytest.approx(scored.tolist(), abs=1e-5)
    assert rows[0]["body"] == "Crème"
    assert report.scores["rows"] == 2


def test_stdin_goes_to_stdout_and_nowhere_else(model, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"good\n\nbad, very\n")))
    out = io.BytesIO()
    report = classify(ClassifyConfig(data="-", model=model), stdout=out)
    rows = read_csv(out.getvalue().decode())
    assert [row["text"] for row in rows] == ["good", "", "bad, very"]
    assert (report.rows, report.without_text, report.outputs) == (3, 1, [])
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.pt"]


def test_every_format_that_can_be_read_can_be_classified(model, tmp_path):
    texts = ["I loved it", "dull and long"]
    table = pa.table({"text": texts})
    pq.write_table(table, tmp_path / "a.parquet")
    contents = {
        "a.csv": "text\nI loved it\ndull and long\n",
        "a.tsv": "id\ttext\n1\tI loved it\n2\tdull and long\n",
        "a.json": json.dumps([{"text": text} for text in texts]),
        "a.ndjson": "".join(json.dumps({"text": text}) + "\n" for text in texts),
        "a.py.json": "".join(f"{{'text': {text!r}}}\n" for text in texts),
        "a.txt": "I loved it\ndull and long\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    found = {}
    for name in (*contents, "a.parquet"):
        classify(ClassifyConfig(data=name, model=model, output=tmp_path / "out.npy"))
        found[name] = np.load(tmp_path / "out.npy").tolist()
    assert all(values == pytest.approx(found["a.csv"], abs=1e-6) for values in found.values()), found
    assert len(found["a.csv"]) == 2


def test_progress_ends_with_all_bytes(data, model, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "CHUNK_ROWS", 3)
    seen = []
    classify(ClassifyConfig(data=data, model=model), progress=lambda *now: seen.append(now))
    size = (tmp_path / "data.csv").stat().st_size
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
