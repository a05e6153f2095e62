"""The text and the label of a record, whatever kind of file it came from."""

import json
from collections.abc import Mapping, Sequence

from sentneuron.core.data.labels import class_name
from sentneuron.core.data.rejects import NO_TEXT, NOT_TEXT


def text_of(fields: Mapping[str, object], key: str) -> tuple[str, str | None]:
    """Return (text, None), or ("", reason) where the record's text cannot be used."""
    value = fields.get(key)
    if isinstance(value, str):
        return value, None
    return "", NO_TEXT if value is None else NOT_TEXT


def label_of(fields: Mapping[str, object], keys: Sequence[str]) -> str | None:
    """Return the label as shards store it: one column's class, or several as a JSON object; None for none."""
    values = {key: class_name(fields.get(key)) for key in keys}
    if all(value is None for value in values.values()):
        return None
    label = values[keys[0]] if len(keys) == 1 else json.dumps(values)
    # Half a surrogate pair, which JSON can spell, has no UTF-8 form.
    return label and label.encode("utf-8", "replace").decode()
