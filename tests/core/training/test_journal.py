"""The log of a run."""

import json

from sentneuron.core.training.journal import Journal, read_lines


def test_opening_at_a_step_drops_later_lines_and_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "model.log.jsonl"
    journal = Journal(path, step=0)
    for step in (10, 20, 30):
        journal.write(step=step, bits_per_byte=step / 7)
    with open(path, "a") as file:
        file.write('{"step": 40, "bits')
    again = Journal(path, step=20)
    again.write(step=21)
    assert [line["step"] for line in read_lines(path)] == [10, 20, 21]
    assert read_lines(path)[1]["bits_per_byte"] == 20 / 7


def test_a_new_run_starts_an_empty_log(tmp_path):
    path = tmp_path / "model.log.jsonl"
    path.write_text(json.dumps({"step": 3}) + "\n")
    Journal(path, step=0)
    assert path.read_text() == ""
