"""A manifest that somebody made: whatever stands in it, it is read or refused, and nothing else happens."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentneuron.core.data.manifest import checksum, parse_manifest
from sentneuron.core.data.shards import ShardSet, open_shards
from sentneuron.core.errors import DataError

VALUES = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 1 << 63, 10**400, 1.5, float("nan"), "", "x", "../x", [], {}, [None], {"a": 1}]
    ),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
)


def places(value, path=()):
    """The path to every value inside a manifest."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def changed(values, path, change):
    """A copy with one value replaced, or left out where `change` is ..., and a checksum that is right again."""
    values = copy.deepcopy(values)
    if not path:
        return change
    inside = values
    for key in path[:-1]:
        inside = inside[key]
    if change is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = change
    return values | {"checksum": checksum(values)}


@pytest.fixture(scope="module")
def good(made):
    return json.loads((made / "manifest.json").read_bytes())


@settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_manifest_with_any_value_in_any_place_is_read_or_refused(good, made, data):
    path = data.draw(st.sampled_from(list(places(good))))
    change = data.draw(st.one_of(st.just(...), VALUES)) if path else data.draw(VALUES)
    content = json.dumps(changed(good, path, change)).encode()
    try:
        manifest = parse_manifest(content, "manifest.json")
    except DataError:
        return
    shards = ShardSet(open_shards(made)._shards["train"][0]._folder, manifest)
    assert len(shards.fingerprint) == 64
    try:
        assert shards.rule is not None
    except DataError:
        assert path[0] == "text"


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.text(st.sampled_from('{}[]",:0e-.\\ntrue'), max_size=40).map(str.encode)))
def test_any_bytes_are_no_manifest(content):
    with pytest.raises(DataError):
        parse_manifest(content, "manifest.json")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'{"format": ' + b"9" * 5000 + b"}"]
)
def test_a_manifest_that_is_deep_or_long_is_no_manifest(content):
    with pytest.raises(DataError):
        parse_manifest(content, "manifest.json")


@pytest.mark.parametrize("field", ["files", "settings", "text"])
def test_a_manifest_that_lacks_a_field_names_it(good, field):
    content = json.dumps(changed(good, (field,), ...)).encode()
    with pytest.raises(DataError, match=f"missing required field `{field}`"):
        parse_manifest(content, "manifest.json")


def test_figures_that_do_not_add_up_are_damage(good):
    content = json.dumps(changed(good, ("files", 0, "row_group_bytes", 0), 7)).encode()
    with pytest.raises(DataError, match="do not add up"):
        parse_manifest(content, "manifest.json")


def test_a_row_group_of_another_length_than_the_manifests_is_damage(folder, good):
    sizes = good["files"][0]["row_group_bytes"]
    moved = changed(good, ("files", 0, "row_group_bytes"), [sizes[0] + 1, sizes[1] - 1, *sizes[2:]])
    (folder / "manifest.json").write_text(json.dumps(moved))
    with pytest.raises(DataError, match="row group 0 is damaged"):
        open_shards(folder).split("train")[0].read_row_group(0)
