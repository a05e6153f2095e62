"""Write review files of any size for load tests: the fields of the 2014 Amazon file, made-up words.

    python benchmarks/make_corpus.py reviews.json --megabytes 300
    python benchmarks/make_corpus.py reviews.json.gz --megabytes 300

A record has about 700 bytes, 470 of them text: lognormal lengths with a tail past 10 kB, word lengths and frequencies
like English. One text in 16 is not ASCII, one in 20 has HTML entities, one in 30 `<br />`, one in 200 is an earlier one
again. Same arguments, same bytes. What it does not have: grammar, so that zstd and gzip find less to save than in real
reviews.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

RECORDS = 4096
"""Made at a time."""
SYLLABLES = [first + vowel + last for last in ("", "n", "r") for first in "bcdfghlmnprstvw" for vowel in "aeiou"]
FOREIGN = ("café", "naïve", "Señor", "“fine”", "it’s", "—", "5 €", "½", "Ω", "великолепно", "すごい", "😀")
NUM_WORDS = 20_000
MEAN_WORD_BYTES = 7.6
"""As written, with the space behind it."""


class Corpus:
    """Records by batch, each batch a function of the seed and its number."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        draw = np.random.default_rng([seed, 0])
        parts = draw.integers(0, len(SYLLABLES), size=(NUM_WORDS, 4))
        # Frequent words are short: one or two syllables for the first hundred, up to five for rare ones.
        ranks = np.arange(1, NUM_WORDS + 1)
        counts = np.minimum(4, 1 + (np.log10(ranks) * draw.uniform(0.6, 1.2, NUM_WORDS)).astype(int))
        pairs = zip(parts.tolist(), counts.tolist(), strict=True)
        self._words = ["".join(SYLLABLES[i] for i in row[:count]) for row, count in pairs]
        weights = 1 / np.arange(2, NUM_WORDS + 2)
        self._cumulative = np.cumsum(weights / weights.sum())

    def texts(self, batch: int) -> list[str]:
        """Return one batch of texts."""
        draw = np.random.default_rng([self._seed, 1, batch])
        lengths = draw.lognormal(5.72, 0.92, RECORDS)  # median 305 bytes, mean 465
        counts = np.maximum(1, lengths / MEAN_WORD_BYTES).astype(int)
        ends = np.cumsum(counts)
        numbers = np.searchsorted(self._cumulative, draw.random(int(ends[-1]))).clip(max=NUM_WORDS - 1).tolist()
        texts: list[str] = []
        kinds = draw.random(RECORDS).tolist()
        for kind, end, count in zip(kinds, ends.tolist(), counts.tolist(), strict=True):
            words = [self._words[i] for i in numbers[end - count : end]]
            if kind < 0.005 and texts:
                texts.append(texts[end % len(texts)])
                continue
            if count < 4:
                pass  # left alone, so that no text is empty once it is clean
            elif kind < 0.0675:
                words[::20] = [FOREIGN[i % len(FOREIGN)] for i in range(end, end + len(words[::20]))]
            elif kind < 0.1175:
                words[len(words) // 2] = ("&amp;", "&#34;so&#34;", "&amp;quot;x&amp;quot;")[end % 3]
            elif kind < 0.1508:
                words[len(words) // 2] = "<br /><br />"
            for stop in range(11, len(words), 12):
                words[stop] += "."
            texts.append(" ".join(words).capitalize())
        return texts

    def lines(self, batch: int) -> bytes:
        """Return one batch of records, a JSON object a line."""
        draw = np.random.default_rng([self._seed, 2, batch])
        stars = draw.choice(5, RECORDS, p=(0.09, 0.05, 0.09, 0.2, 0.57)).tolist()
        names = draw.integers(0, 1 << 40, RECORDS).tolist()
        rows = []
        for number, (text, star, name) in enumerate(zip(self.texts(batch), stars, names, strict=True)):
            row = {
                "reviewerID": f"A{name:013X}",
                "asin": f"B{name >> 8:09X}",
                "reviewerName": "A. Buyer",
                "helpful": [name % 3, 3],
                "reviewText": text,
                "overall": star + 1.0,
                "summary": text[: text.find(" ", 24)][:40],
                "unixReviewTime": 1_100_000_000 + batch * RECORDS + number,
                "reviewTime": "07 9, 2012",
            }
            rows.append(json.dumps(row) + "\n")
        return "".join(rows).encode()

    def blocks(self, num_bytes: int) -> Iterator[bytes]:
        """Yield whole lines of at least `num_bytes` in all, less than a batch too many."""
        batch = written = 0
        while written < num_bytes:
            block = self.lines(batch)
            block = block[: block.find(b"\n", max(0, num_bytes - written - 1)) + 1] or block
            yield block
            batch, written = batch + 1, written + len(block)


def write_corpus(path: Path, *, megabytes: float, seed: int = 0) -> None:
    """Write a file, compressed where its name ends in `.gz`."""
    with gzip.open(path, "wb", compresslevel=6) if path.suffix == ".gz" else open(path, "wb") as file:
        for block in Corpus(seed=seed).blocks(int(megabytes * 1e6)):
            file.write(block)


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--megabytes", type=float, default=100, help="uncompressed size, in 10^6 bytes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_corpus(args.path, megabytes=args.megabytes, seed=args.seed)


if __name__ == "__main__":
    main()
