"""The multiplicative LSTM in numpy and float64, from the papers' equations alone: nothing of ours is imported here.

Source: Krause et al. 2016, "Multiplicative LSTM for sequence modelling", arXiv:1609.07959, equations 16 to 21; Salimans
and Kingma 2016, "Weight normalization", arXiv:1602.07868, equation 2.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalized(v: Array, g: Array) -> Array:
    """Return the matrix (in, out) whose column j has the direction of v's and the length g[j]."""
    return v / np.sqrt((v**2).sum(axis=0)) * g


def mlstm(x: Array, *, wx: Array, wh: Array, wmx: Array, wmh: Array, b: Array, gates: str) -> tuple[Array, Array]:
    """Return the hidden and cell states [T, H] after each of the inputs `x` [T, E], from a state of zeros.

    Matrices are effective ones, (in, out): `wx` [E, 4H], `wh` [H, 4H], `wmx` [E, H], `wmh` [H, H], `b` [4H]; `gates`
    names the four column blocks, as "ifou" or "ifgo": input, forget, output, and u or g for the new content.
    """
    size = wmh.shape[0]
    blocks = {name: slice(number * size, (number + 1) * size) for number, name in enumerate(gates.replace("u", "g"))}
    assert sorted(blocks) == list("fgio")
    h, c = np.zeros(size), np.zeros(size)
    hidden, cells = [], []
    for row in x.astype(np.float64):
        m = (row @ wmx) * (h @ wmh)
        z = row @ wx + m @ wh + b
        c = sigmoid(z[blocks["f"]]) * c + sigmoid(z[blocks["i"]]) * np.tanh(z[blocks["g"]])
        h = sigmoid(z[blocks["o"]]) * np.tanh(c)
        hidden.append(h)
        cells.append(c)
    return np.array(hidden), np.array(cells)


def read(text: bytes, *, embedding: Array, layers: Sequence[dict[str, Array]], gates: str, w: Array, b: Array) -> tuple:
    """Return the cell state of the top layer after the last byte [H], and the next byte's logits after each [T, 256].

    `embedding` [256, E] has a row a byte, `layers` the arguments of `mlstm` from the input up, `w` is [H, 256].
    """
    rows = embedding[list(text)]
    for layer in layers:
        rows, cells = mlstm(rows, gates=gates, **layer)
    return cells[-1], rows @ w + b


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))
