"""What `classify` refuses: inputs it cannot use, files that are not there, and outputs that would mislead."""

import io
import json

import pytest

from sentneuron.core.config import ClassifyConfig, ReadConfig
from sentneuron.core.errors import DataError, InputNotFoundError, OutputError, UsageError
from sentneuron.core.transfer.classify import classify

pytestmark = pytest.mark.usefixtures("_here")

BAD = {
    "broken.csv": ('id,text\n1,"never closed\n2,b\n', "quote"),
    "ragged.csv": ("id,text\n1,a\n2,b,c\n", ":3: wrong number of fields"),
    "broken.json": ('{"text": "a"}\n{"text": \n', ":2: not JSON"),
    "array.json": ('[{"text": "a"}, {"text": ', "broken|early"),
    "empty.csv": ("", "is empty"),
    "columns.csv": ("id,body text\n1,a\n", "no text column; its columns are id, body text"),
}


@pytest.fixture
def good_data(tmp_path):
    (tmp_path / "data.csv").write_text("id,text\n1,fine\n")
    return "data.csv"


@pytest.mark.parametrize("name", BAD)
def test_an_input_that_cannot_be_used_gives_one_error_and_no_file(model, tmp_path, name):
    content, reason = BAD[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=reason):
        classify(ClassifyConfig(data=name, model=model))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["classifier.pt", name])


def test_a_language_model_is_told_what_to_do(good_data, model_file, tmp_path):
    with pytest.raises(DataError, match=r"sentneuron transfer .*model\.pt"):
        classify(ClassifyConfig(data=good_data, model=str(model_file)))
    assert not (tmp_path / "data.classified.csv").exists()


def test_what_is_not_there_is_not_found(good_data, model, tmp_path):
    with pytest.raises(InputNotFoundError):
        classify(ClassifyConfig(data="nothing.csv", model=model))
    with pytest.raises(InputNotFoundError):
        classify(ClassifyConfig(data=good_data, model="nothing.pt"))
    with pytest.raises(OutputError):
        classify(ClassifyConfig(data=good_data, model=model, output=tmp_path / "nowhere" / "x.csv"))
    with pytest.raises(DataError, match="no column 'body'"):
        classify(ClassifyConfig(data=good_data, model=model, read=ReadConfig(text_key="body")))


@pytest.mark.parametrize("output_format", ["npy", "parquet"])
def test_binary_formats_do_not_go_to_stdout(model, output_format):
    with pytest.raises(UsageError, match="-o"):
        classify(ClassifyConfig(text="a", model=model, output_format=output_format), stdout=io.BytesIO())


@pytest.mark.parametrize("output_format", ["jsonl", "parquet", "npy"])
def test_cells_are_made_safe_in_csv_alone(good_data, model, tmp_path, output_format):
    with pytest.raises(UsageError, match=f"--excel-safe with {output_format}"):
        classify(ClassifyConfig(data=good_data, model=model, output_format=output_format, excel_safe=True))
    classify(ClassifyConfig(data=good_data, model=model, excel_safe=True))
    assert (tmp_path / "data.classified.csv").exists()


def test_a_later_field_never_replaces_a_result_or_the_reverse(model, tmp_path):
    records = [{"text": "a"}] * 150 + [{"text": "b", "prediction": "mine"}]
    (tmp_path / "a.json").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match="the field 'prediction'"):
        classify(ClassifyConfig(data="a.json", model=model))
