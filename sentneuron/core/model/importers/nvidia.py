"""NVIDIA's files of both generations: their arrays under our names; their classifiers are `nvidia_classifier.py`'s.

Matrices are (out, in), gates i, f, g, o, as ours; the two biases of a layer are added. With weight norm a row's length
`_g` is [rows, 1]. In files with more than 256 ids the first are command tokens, and byte b is id b + their number.
Names are read without what wraps them: `sd`, `module.`, `encoder.`, `lm_encoder.`.

Source: github.com/NVIDIA/sentiment-discovery, model/model.py (names), apex_utils/apex/RNN (cells),
reparameterization/weight_norm.py (one length a row, no epsilon), data_utils/tokenization.py (ids).
"""

import re
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from sentneuron.core.config import ModelConfig
from sentneuron.core.config.model import Cell
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import ModelParts, told
from sentneuron.core.model.importers.nvidia_classifier import read_classifier
from sentneuron.core.model.language_model import NUM_BYTES

MAX_COMMANDS = 16
"""NVIDIA's byte tokenizer has one command token, the padding; thousands of ids are those of words."""
MATRICES = {"w_ih": "weight_ih", "w_hh": "weight_hh", "w_mih": "weight_mih", "w_mhh": "weight_mhh"}
GATES: dict[Cell, int] = {"mLSTM": 4, "LSTM": 4, "GRU": 3, "RNNTanh": 1, "RNNReLU": 1}
PLAIN_CELLS: dict[str, Cell] = {"Tanh": "RNNTanh", "RNNTanh": "RNNTanh", "ReLU": "RNNReLU", "RNNReLU": "RNNReLU"}
"""What `--model` was called at different times."""

_WRAPPERS = ("sd", "state_dict")
_ARRAY = re.compile(r"(?:^|\.)(encoder\.weight|decoder\.(?:weight|bias)|rnn\..+)$")
_LAYER = re.compile(r"rnn\.rnns\.(\d{1,3})\.")
_TORCH = re.compile(r"rnn\.([wb])(?:eight|ias)_([ih]h)_l(\d{1,3})(_[gv])?")
"""A layer of torch's own, in forks."""


def import_nvidia(values: Any, *, name: str) -> ModelParts | None:
    """Put the values of a file called `name` into our own terms; None where it is not one of NVIDIA's.

    A file without a decoder (a classifier's) gets one of zeros, and a note; a classifier that our regressions cannot
    express is left out, and the note says what it is.

    Raises:
        DataError: it is NVIDIA's, but incomplete, or another kind of model; names the array or the kind.
    """
    if not isinstance(values, dict):
        return None
    settings = values["args"] if isinstance(values.get("args"), dict) else {}
    values = next((values[key] for key in _WRAPPERS if isinstance(values.get(key), dict)), values)
    flat = _flattened(values)
    arrays = _Arrays(flat, name=name)
    if "lm_encoder" not in values and not arrays.is_nvidia:
        return None
    if any("self_attn" in key or ".attention." in key for key in flat):
        raise DataError(
            f"{name} is a Transformer, which cannot be computed here", hint="give a recurrent model, as NVIDIA's mLSTM"
        )
    nhid = arrays.width(r"rnn\.rnns\.\d+\.w_m?hh(_v)?|decoder\.weight", wanted="rnn.rnns.0.w_hh")
    emsize = arrays.width(r"encoder\.weight|rnn\.rnns\.0\.w_m?ih(_v)?", wanted="encoder.weight")
    said = settings.get("model")
    cell = _cell(arrays, said if isinstance(said, str) else "", nhid)
    num_ids = arrays.num_ids()
    offset = num_ids - NUM_BYTES
    if not 0 <= offset <= MAX_COMMANDS:
        raise DataError(f"{name} reads {num_ids:,} ids, not 256 bytes", hint="give a model that reads bytes")

    embedding = arrays.take("encoder.weight", (num_ids, emsize))[offset:]
    weights = {"embedding.weight": embedding} | _layers(arrays, cell, nhid, emsize)
    has_decoder = arrays.has("decoder.weight", "decoder.bias")
    weights["decoder.weight"] = torch.zeros(NUM_BYTES, nhid)
    weights["decoder.bias"] = torch.zeros(NUM_BYTES)
    if has_decoder:
        weights["decoder.weight"] = arrays.take("decoder.weight", (num_ids, nhid))[offset:]
        weights["decoder.bias"] = arrays.take("decoder.bias", (num_ids,))[offset:]
    arrays.require_none_left()
    tied = has_decoder and emsize == nhid and torch.equal(embedding, weights["decoder.weight"])
    if tied:
        del weights["decoder.weight"]
    config = ModelConfig(
        model=cell,
        nhid=nhid,
        emsize=emsize,
        nlayers=arrays.num_layers,
        tied=tied,
        weight_norm="layers.0.weight_hh_v" in weights,
    )
    noted: dict[str, Any] = {"layout": "NVIDIA", "id_offset": offset, "decoder": has_decoder}
    head = {key.removeprefix("classifier."): part for key, part in flat.items() if key.startswith("classifier.")}
    classifier, notes = read_classifier(head, settings, config, name=name)
    return ModelParts(
        kind="language-model" if classifier is None else "classifier",
        config=config,
        weights=weights,
        rule=TextRule(name="nvidia"),
        classifier=classifier,
        training={"imported": noted | notes},
    )


class _Arrays:
    """A file's arrays but the classifier's, by their names from `encoder.weight`, `rnn.` or `decoder.` on."""

    def __init__(self, flat: dict[str, Any], *, name: str) -> None:
        self.name = name
        self._parts: dict[str, Any] = {}
        for key, part in flat.items():
            match = None if key.startswith("classifier.") else _ARRAY.search(key)
            if match:
                short = _TORCH.sub(r"rnn.rnns.\3.\1_\2\4", match[1])
                if short in self._parts:
                    raise DataError(f"{name} holds {told(short)} twice", hint="give a file of one model")
                self._parts[short] = part
        self.num_layers = 1 + max((int(match[1]) for key in self._parts if (match := _LAYER.match(key))), default=0)
        self.is_nvidia = "encoder.encoder.weight" in flat or any("rnn.rnns." in key for key in flat)
        self.is_nvidia |= "encoder.weight" in self._parts and any(_LAYER.match(key) for key in self._parts)

    def has(self, *names: str) -> bool:
        """Tell whether one of these is there."""
        return any(name in self._parts for name in names)

    def width(self, names: str, *, wanted: str) -> int:
        """Return the number of columns that most arrays so named have; raises DataError where there is none."""
        matrices = (part for key, part in self._parts.items() if re.fullmatch(names, key))
        found = Counter(part.shape[1] for part in matrices if _is_array(part) and part.dim() == 2)
        if not found:
            raise self.incomplete(f"{wanted} is missing")
        return int(found.most_common(1)[0][0])

    def num_rows(self, *names: str) -> int:
        """Return the rows of the first of these that is there; 0 where none is."""
        return next((len(self._parts[name]) for name in names if _is_array(self._parts.get(name))), 0)

    def num_ids(self) -> int:
        """Return the ids that the model reads; raises DataError where it has no embedding."""
        if not _is_array(self._parts.get("encoder.weight")):
            raise self.incomplete("encoder.weight, the embedding, is missing")
        return self.num_rows("encoder.weight")

    def take(self, name: str, *shapes: tuple[int, ...]) -> Tensor:
        """Take an array out, of one of these shapes; raises DataError where it is another or missing."""
        part = self._parts.pop(name, None)
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        if not isinstance(part, Tensor):
            raise self.incomplete(f"{name} is missing, which is {wanted}")
        if tuple(part.shape) not in shapes:
            raise self.incomplete(f"{name} is {list(part.shape)}, not {wanted}")
        return part

    def require_none_left(self) -> None:
        """Check that every array was understood; raises DataError."""
        if self._parts:
            raise DataError(
                f"{self.name} holds {told(min(self._parts))}, which no model here has",
                hint="give a plain recurrent model, one direction and no projection",
            )

    def incomplete(self, what: str) -> DataError:
        """Return the error of a file in which an array is not as it should be."""
        return DataError(f"{self.name} is no whole NVIDIA model: {what}", hint="fetch or save it again")


def _is_array(part: Any) -> bool:
    """Tell whether it is a tensor that holds numbers in rows."""
    return isinstance(part, Tensor) and part.dim() > 0 and part.numel() > 0


def _cell(arrays: _Arrays, said: str, nhid: int) -> Cell:
    """Return the cell, which the arrays tell, but for the two plain ones, which are as `said`; raises DataError."""
    names = [f"rnn.rnns.0.{name}{suffix}" for name in ("w_mih", "w_mhh") for suffix in ("", "_v")]
    if arrays.has(*names) or said == "mLSTM":
        return "mLSTM"
    num_rows = arrays.num_rows(*(f"rnn.rnns.0.{name}" for name in ("w_hh", "w_hh_v", "w_ih", "w_ih_v")))
    if num_rows == 4 * nhid:
        return "LSTM"
    if num_rows == 3 * nhid:
        return "GRU"
    if num_rows == nhid and said in PLAIN_CELLS:
        return PLAIN_CELLS[said]
    if num_rows == nhid:
        raise DataError(
            f"{arrays.name} is a plain RNN, and does not say whether of tanh or ReLU",
            hint="give a file with the arguments of its training, or an mLSTM",
        )
    raise arrays.incomplete(f"rnn.rnns.0.w_hh has {num_rows} rows for {nhid} units")


def _layers(arrays: _Arrays, cell: Cell, nhid: int, emsize: int) -> dict[str, Tensor]:
    """Take the layers' weights; where only some matrices are weight-normed, these are multiplied out."""
    matrices: dict[str, tuple[Tensor, Tensor | None]] = {}
    weights: dict[str, Tensor] = {}
    for number in range(arrays.num_layers):
        for name, ours in MATRICES.items():
            is_middle = name.startswith("w_m")
            if is_middle and cell != "mLSTM":
                continue
            rows = nhid if is_middle else GATES[cell] * nhid
            columns = emsize if name.endswith("ih") and number == 0 else nhid
            matrices[f"layers.{number}.{ours}"] = _matrix(arrays, f"rnn.rnns.{number}.{name}", rows, columns)
        weights[f"layers.{number}.bias"] = _bias(arrays, f"rnn.rnns.{number}.", cell, nhid)
    is_normed = all(length is not None for _, length in matrices.values())
    for name, (matrix, length) in matrices.items():
        if length is None:
            weights[name] = matrix
        elif is_normed:
            weights |= {f"{name}_v": matrix, f"{name}_g": length}
        else:
            wide = matrix.float()
            weights[name] = wide * (length.float() / wide.norm(dim=1)).unsqueeze(1)
    return weights


def _matrix(arrays: _Arrays, name: str, rows: int, columns: int) -> tuple[Tensor, Tensor | None]:
    """Take a matrix; with weight norm its rows' directions, and their lengths [rows]."""
    if not arrays.has(f"{name}_v", f"{name}_g"):
        return arrays.take(name, (rows, columns)), None
    return arrays.take(f"{name}_v", (rows, columns)), arrays.take(f"{name}_g", (rows, 1), (rows,)).reshape(rows)


def _bias(arrays: _Arrays, prefix: str, cell: Cell, nhid: int) -> Tensor:
    """Take a layer's biases, added; one that is not there is zero.

    Raises:
        DataError: a GRU's second bias is not zero where it stands inside the product with the reset gate.
    """
    size = GATES[cell] * nhid
    total = torch.zeros(size)
    for name in ("b_ih", "b_hh"):
        if arrays.has(prefix + name):
            bias = arrays.take(prefix + name, (size,))
            if cell == "GRU" and name == "b_hh" and bool(bias[2 * nhid :].any()):
                raise DataError(
                    f"{arrays.name} is a GRU with a bias inside its reset gate, which ours has not",
                    hint="give an mLSTM or an LSTM",
                )
            total += bias.float()
    return total


def _flattened(values: dict[Any, Any]) -> dict[str, Any]:
    """Return what nested dicts hold under dotted names, without the `module.` of data-parallel training."""
    flat: dict[str, Any] = {}
    seen: set[int] = set()  # a hostile file's dict may hold itself
    waiting = [("", values)]
    while waiting:
        prefix, inner = waiting.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        for key, part in inner.items():
            if not isinstance(key, str):
                continue
            path = prefix + key.replace("module.", "")
            if isinstance(part, dict):
                waiting.append((prefix if key == "module" else f"{path}.", part))
            else:
                flat[path] = part
    return flat
