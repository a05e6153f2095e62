"""Megabytes of text cleaned per CPU-second: by plain Unidecode, the common pipeline, our ASCII step, our whole rule.

    SENTNEURON_DATA=… python benchmarks/text_cleaning.py --rounds 11

Two comparisons, told apart. `ASCII step` against `unidecode` is the same job: text to ASCII, nothing else. `text rule`
against `common pipeline` is the same job too: entities, tags, ASCII, white space. `text rule` against `unidecode` is a
whole rule against one of its steps. On ASCII text Unidecode only looks whether it is ASCII, and nothing that does more
can be much faster: that is the kind `IMDB, ASCII`. The Cyrillic kind is made: SST with every letter replaced by one.

Every kind is real text otherwise, from the data sets as the commands find them. All runs are in one process,
interleaved (a ratio is the median of the rounds' pairs), and timed in CPU time. Refuses to time an ASCII step whose
text is not Unidecode's.
"""

import argparse
import csv
import html
import importlib.metadata
import random
import re
import statistics
import string
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq
from measuring import summary, write_result
from unidecode import unidecode

from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.data.text import C1_CONTROL, TextRule
from sentneuron.core.data.transliteration import TO_ASCII

RULE = TextRule()
TAG = re.compile("<.*?>")
CYRILLIC = dict(zip(map(ord, string.ascii_lowercase), "абцдефгхийклмнопярстувшызж", strict=True))
ORDINARY = 474  # bytes of text in the mean record of 704 bytes that `make_corpus.py` writes


def ascii_step(text: str) -> bytes:
    """Our ASCII step alone."""
    return text.encode("ascii", TO_ASCII)


def common_pipeline(text: str) -> str:
    """Tags by `<.*?>`, Unidecode, entities, white space, padding: what sentiment models were trained on before us."""
    return "\n " + " ".join(html.unescape(unidecode(TAG.sub(" ", text))).split()) + " "


def one_by_one(clean: Callable[[str], object]) -> Callable[[Sequence[str]], object]:
    """Return what cleans many texts, given what cleans one."""
    return lambda texts: [clean(text) for text in texts]


CANDIDATES: dict[str, Callable[[Sequence[str]], object]] = {
    "unidecode": one_by_one(unidecode),
    "ASCII step": one_by_one(ascii_step),
    "common pipeline": one_by_one(common_pipeline),
    "text rule": RULE.clean_all,
}
COMPARISONS = (("ASCII step", "unidecode"), ("text rule", "common pipeline"), ("text rule", "unidecode"))


def read_kinds(*, num_reviews: int) -> dict[str, list[str]]:
    """Return the texts by kind."""
    sentences = []
    for path in dataset_files("sst").values():
        with open(path, encoding="utf-8", newline="") as file:
            sentences += [row["sentence"] for row in csv.DictReader(file)]
    files = dataset_files("imdb", splits=("train", "unsup")).values()
    reviews = [text for path in files for text in pq.read_table(path, columns=["text"])["text"].to_pylist()]
    rng = random.Random(0)
    accented = rng.sample([text for text in reviews if not text.isascii()], num_reviews // 4)
    sample = rng.sample(reviews, num_reviews)
    plain = [text[:ORDINARY] for text in sample]
    return {
        "SST": sentences,
        "IMDB": sample,
        "IMDB, not ASCII": accented,
        "IMDB, ASCII": [text for text in sample if text.isascii()],
        f"plain ASCII of {ORDINARY} bytes": [
            text for text in plain if text.isascii() and len(text) == ORDINARY and not ("<" in text or "&" in text)
        ],
        "SST in Cyrillic": [text.lower().translate(CYRILLIC) for text in sentences[:1000]],
    }


def check(texts: Sequence[str]) -> None:
    """Stop where the ASCII step gives another text than Unidecode, C1 controls apart."""
    for text in texts:
        if ascii_step(text).decode() != unidecode(C1_CONTROL.sub(" ", text)):
            sys.exit(f"the ASCII step differs from Unidecode on {text!r}; not timing it")


def measure(texts: Sequence[str], *, rounds: int) -> dict[str, list[float]]:
    """Return the CPU-seconds of each run of each candidate over all texts, after one run that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for number in range(rounds + 1):
        for name, clean in CANDIDATES.items():
            start = time.process_time()
            clean(texts)
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def describe(texts: Sequence[str], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Turn CPU-seconds into rates and ratios."""
    megabytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6
    ratios = {}
    for ours, theirs in COMPARISONS:
        pairs = zip(seconds[theirs], seconds[ours], strict=True)
        low, middle, high = statistics.quantiles([slow / fast for slow, fast in pairs], n=4)
        ratios[f"{ours} / {theirs}"] = {"median": middle, "quartile_low": low, "quartile_high": high}
    return {
        "texts": len(texts),
        "megabytes": megabytes,
        "share_not_ascii": sum(not text.isascii() for text in texts) / len(texts),
        "megabytes_per_cpu_second": {name: summary(runs, amount=megabytes) for name, runs in seconds.items()},
        "microseconds_per_text": {n: statistics.median(runs) / len(texts) * 1e6 for n, runs in seconds.items()},
        "times_as_fast": ratios,
    }


def show(kind: str, figures: dict[str, Any]) -> None:
    """Print one kind's figures."""
    share = f"{figures['share_not_ascii']:.1%} not ASCII"
    print(f"\n{kind}: {figures['texts']:,} texts, {figures['megabytes']:.1f} MB, {share}")
    for name, rate in figures["megabytes_per_cpu_second"].items():
        spread = f"quartiles {rate['quartile_low']:.1f} to {rate['quartile_high']:.1f}"
        print(
            f"  {name:16} {rate['median']:8.1f} MB per CPU-second   {spread:26} "
            f"{figures['microseconds_per_text'][name]:8.2f} us a text"
        )
    for name, times in figures["times_as_fast"].items():
        print(f"  {name}: {times['median']:.2f} ({times['quartile_low']:.2f} to {times['quartile_high']:.2f})")


def main() -> None:
    """Check, measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each candidate, 2 or more")
    parser.add_argument("--reviews", type=int, default=4000, help="IMDB reviews in the sample")
    args = parser.parse_args()

    kinds = read_kinds(num_reviews=args.reviews)
    figures = {}
    for kind, texts in kinds.items():
        check(texts)
        figures[kind] = describe(texts, measure(texts, rounds=args.rounds))
        show(kind, figures[kind])
    versions = {"unidecode": importlib.metadata.version("unidecode"), "text_rule": RULE.version}
    print(f"\n{write_result('text_cleaning', {'rounds': args.rounds, 'versions': versions, 'kinds': figures})}")


if __name__ == "__main__":
    main()
