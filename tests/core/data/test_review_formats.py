"""Review files that people have, a few records of each: found by content, text and label chosen, texts cleaned."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.text import TextRule

AMAZON_2014 = {
    "reviewerID": "A1KLRMWW2FWPL4",
    "asin": "0000031887",
    "reviewerName": 'Amazon Customer "cameramom"',
    "helpful": [0, 4],
    "reviewText": 'It&#39;s "lovely" &amp; soft.<br /><br />My daughter\u2019s tutu \u2013 5 stars!',
    "overall": 5.0,
    "summary": "Great",
    "unixReviewTime": 1297468800,
    "reviewTime": "02 12, 2011",
}
CLEAN_2014 = "It's \"lovely\" & soft. My daughter's tutu - 5 stars!"
AMAZON_2018 = [
    {
        "overall": 2.0,
        "vote": "1,234",
        "verified": True,
        "reviewTime": "01 1, 2018",
        "reviewerID": "AAP7PPBU72QFM",
        "asin": "0151004714",
        "style": {"Format:": " Kindle Edition"},
        "image": ["https://images.example.com/I/71xyz.jpg"],
        "reviewText": "I <3 the start; price > 5 though.",
        "summary": "Meh",
        "unixReviewTime": 1514764800,
    },
    {"overall": 5.0, "verified": False, "reviewerID": "A1", "asin": "0151004714", "summary": "no text at all"},
]
AMAZON_2023 = [
    {
        "rating": 1.0,
        "title": "Broke &#34;at once&#34;",
        "text": "Broke after a week &#34;as usual&#34; \U0001f620<br />Never again.",
        "images": [{"small_image_url": "https://images.example.com/a.jpg", "attachment_type": "IMAGE"}],
        "asin": "B07DJWBYKP",
        "parent_asin": "B07DJWBYKP",
        "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
        "timestamp": 1588615855070,
        "helpful_vote": 0,
        "verified_purchase": True,
    },
    {"rating": 4.0, "title": "An emoji", "text": "\U0001f60d", "images": [], "timestamp": 1588615855071},
]
YELP = {
    "review_id": "KU_O5udG6zpxOg-VcAEodg",
    "user_id": "mh_-eMZ6K5RLWhZyISBhwA",
    "business_id": "XQfwVwDr-v0ZS3_CbbE5Xw",
    "stars": 3.0,
    "useful": 0,
    "text": "If you decide to eat here,\n\njust be aware it takes 2 hours.\n",
    "date": "2018-07-07 22:09:11",
}


def json_lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def python_lines(*records: object) -> bytes:
    return b"".join(repr(record).encode() + b"\n" for record in records)


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


# File, format, (text column, label columns), (text, label) of what is kept, and what is skipped.
FILES = {
    "Amazon 2014": (json_lines(AMAZON_2014), "ndjson", ("reviewText", ["overall"]), [(CLEAN_2014, "5")], {}),
    "Amazon 2014 as Python literals": (
        python_lines(AMAZON_2014),
        "python",
        ("reviewText", ["overall"]),
        [(CLEAN_2014, "5")],
        {},
    ),
    "Amazon 2018": (
        json_lines(*AMAZON_2018),
        "ndjson",
        ("reviewText", ["overall"]),
        [("I <3 the start; price > 5 though.", "2")],
        {"no text": 1},
    ),
    "Amazon 2018, the first without text": (
        json_lines(*reversed(AMAZON_2018)),
        "ndjson",
        ("reviewText", ["overall"]),
        [("I <3 the start; price > 5 though.", "2")],
        {"no text": 1},
    ),
    "Amazon 2023": (
        json_lines(*AMAZON_2023),
        "ndjson",
        ("text", ["rating"]),
        [('Broke after a week "as usual" Never again.', "1")],
        {"empty": 1},
    ),
    "Yelp": (
        json_lines(YELP),
        "ndjson",
        ("text", ["stars"]),
        [("If you decide to eat here, just be aware it takes 2 hours.", "3")],
        {},
    ),
    "Yelp as an array": (
        json.dumps([YELP, YELP], indent=2).encode(),
        "json",
        ("text", ["stars"]),
        [("If you decide to eat here, just be aware it takes 2 hours.", "3")] * 2,
        {},
    ),
    "CSV of the sentiment treebank": (
        b'label,sentence\n1,a gripping film .\n0,"dull , lifeless"\n',
        "csv",
        ("sentence", ["label"]),
        [("a gripping film .", "1"), ("dull , lifeless", "0")],
        {},
    ),
    "CSV of IMDB reviews": (
        b'review,sentiment\n"Good.<br /><br />""Really""",positive\n',
        "csv",
        ("review", ["sentiment"]),
        [('Good. "Really"', "positive")],
        {},
    ),
    "TSV of Amazon reviews": (
        b'marketplace\tstar_rating\treview_headline\treview_body\nUS\t5\tFive, stars\tWorks, as "advertised"\n',
        "tsv",
        ("review_body", ["star_rating"]),
        [('Works, as "advertised"', "5")],
        {},
    ),
    "CSV with semicolons": (
        b"Comment;Score\nfine, thanks;7.5\n",
        "csv",
        ("Comment", ["Score"]),
        [("fine, thanks", "7.5")],
        {},
    ),
    "Parquet of tweets": (
        parquet(tweet=["so &lt;3 \U0001f600", None], label=pa.array([1, 0], pa.int8())),
        "parquet",
        ("tweet", ["label"]),
        [("so <3", "1")],
        {"no text": 1},
    ),
    "Parquet of dictionaries": (
        parquet(content=pa.array(["a", "a"]).dictionary_encode(), stars=[1.0, 4.5]),
        "parquet",
        ("content", ["stars"]),
        [("a", "1"), ("a", "4.5")],
        {},
    ),
    "plain text": (
        "caf\u00e9 au lait\n\nAT&amp;T\n".encode(),
        "text",
        ("text", []),
        [("AT&T", None), ("cafe au lait", None)],
        {"blank": 1},
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(("content", "format", "columns", "kept", "skipped"), FILES.values(), ids=FILES)
def test_a_review_file_needs_no_option(tmp_path, pack, content, format, columns, kept, skipped):
    (tmp_path / "reviews").write_bytes(pack(content))
    taken = []
    config = ShardConfig(
        inputs=(str(tmp_path / "reviews"),), output=tmp_path / "out", shards=1, split=(1,), workers=1, max_bad=0.0
    )
    report = write_shards(config, on_source=taken.append)
    assert [(source.text_key, source.label_keys) for source in taken] == [columns]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["sources"][0]["format"] == format
    table = pq.read_table(tmp_path / "out/train/00000.parquet")
    found = [text.decode()[2:-1] for text in table["text"].to_pylist()]
    assert sorted(zip(found, table["label"].to_pylist(), strict=True), key=repr) == sorted(kept, key=repr)
    assert report.skipped == skipped


def test_every_dialect_of_a_review_gives_the_same_shard(tmp_path):
    texts = ["It\u2019s &quot;fine&quot;", "a<br />b", "caf\u00e9 \U0001f600 \\ \"x\" 'y'"]
    rows = [{"text": text, "label": number} for number, text in enumerate(texts)]
    files = {
        "lines": json_lines(*rows),
        "array": json.dumps(rows, ensure_ascii=False).encode(),
        "python": python_lines(*rows),
        "parquet": parquet(text=texts, label=[0, 1, 2]),
        "csv": b"text,label\n"
        + b"".join(b'"%s",%d\n' % (t.replace('"', '""').encode(), i) for i, t in enumerate(texts)),
    }
    shards = set()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        output = tmp_path / f"{name}.shards"
        write_shards(ShardConfig(inputs=(str(tmp_path / name),), output=output, shards=1, split=(1,), workers=1))
        shards.add((output / "train/00000.parquet").read_bytes())
    assert len(shards) == 1


@pytest.mark.parametrize(
    ("escaped", "expected"),
    [
        ("fish &amp; chips", "fish & chips"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("fish &amp;amp;amp; chips", "fish &amp; chips"),
        ("&quot;so&quot; &#34;so&#34; &#x22;so&#x22;", '"so" "so" "so"'),
        ("&amp;quot;so&amp;#34;", '"so"'),
        ("it&#39;s &apos;fine&apos; it&amp;#39;s", "it's 'fine' it's"),
        ("a &lt;b&gt;bold&lt;/b&gt; claim", "a bold claim"),
        ("a &amp;lt;b&amp;gt;bold&amp;lt;/b&amp;gt; claim", "a bold claim"),
        ("5 &lt; 6 &amp;&amp; 7 &gt; 6", "5 < 6 && 7 > 6"),
        ("one&nbsp;two&amp;nbsp;three", "one two three"),
        ("caf&eacute; &amp;eacute;clair &euro;5 &hellip;", "cafe eclair EUR5 ..."),
        ("&copy 2014, &notanentity; &; &#; &#x;", "(c) 2014, !anentity; &; &#; &#x;"),
        ("AT&T, R&D, Q&A, &c.", "AT&T, R&D, Q&A, &c."),
    ],
)
def test_entities_are_read_once_and_twice_escaped(escaped, expected):
    assert TextRule().body(escaped) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I <3 this, price > 5",
        "x < y and y > z",
        "a<b and c>d",
        "<- left, right ->",
        "<3 <3 <3",
        "<sarcasm intended> indeed",
        "x<3>y",
        "mail <me@example.com> or <http://example.com/>",
        "1 <2> 3",
        "<<3>>",
        "rated <B+>",
        ">:( and :<",
    ],
)
def test_what_only_looks_like_markup_stays(text):
    assert TextRule().body(text) == text
