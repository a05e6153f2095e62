"""A training window as one CUDA graph: forward and backward pass are recorded once and replayed at each step.

A window of T = 256 steps is some thousands of launches; replayed, none of them waits for Python. The graph reads and
writes memory of its own: a call copies the inputs in and the loss and the state out, so that a state that was returned
stays what it is, whatever comes after. The graph ends by adding the gradients to the parameters' `grad`, whose memory
stays where it is, so that several windows can share a step. A window without resets is one whose resets are all false,
so that there is one graph.

Where there is no graph, a call does the same with plain autograd, and the reason is logged once: no GPU, a cell that
asks the device for reset positions, inputs of other shapes than recorded, a recording that failed.

Has not been run on a GPU yet: recording and replaying are covered by a test on the CPU that imitates them.
"""

import logging
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from sentneuron.core.model.language_model import LanguageModel, State, detach

log = logging.getLogger(__name__)

Loss = Callable[[Tensor, Tensor, State, Tensor | None], tuple[Tensor, State]]
"""Of ids, targets, state and resets: the loss, and the state after the window."""

DEVICE_TYPE = "cuda"
"""Devices that have graphs."""

WARM_UP = 3
"""Runs before the recording, which compile kernels and make the libraries allocate what they need once."""


class CapturedWindow:
    """Call it for the loss and the state after the window; adds to each parameter's `grad`, which must be there.

    `refusal` says why not to record at all. Parameters and gradients keep their memory: they may be changed in place
    only.
    """

    def __init__(self, loss: Loss, parameters: Iterable[nn.Parameter], *, refusal: str | None = None) -> None:
        self._loss = loss
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._refusal = refusal
        self._said: set[str] = set()
        self._inputs: list[Tensor] = []
        self._outputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None

    def __call__(
        self, ids: Tensor, targets: Tensor, state: State, resets: Tensor | None, weight: Tensor
    ) -> tuple[Tensor, State]:
        """Run a window; arguments as `LanguageModel.loss`. Gradients are those of the loss times `weight`, a number.

        Nothing returned is attached to a graph of autograd.
        """
        refusal = self._refusal
        if ids.device.type != DEVICE_TYPE:
            refusal = f"{ids.device} has no CUDA graphs"
        flags = torch.zeros_like(ids, dtype=torch.bool) if resets is None else resets
        given = [ids, targets, flags, weight, *(part for layer in state for part in layer)]
        if refusal is None and self._replay is None:
            refusal = self._record(given, state)
        if refusal is None and [_form(tensor) for tensor in given] != [_form(tensor) for tensor in self._inputs]:
            refusal = "a window of another shape than recorded"
        if refusal is not None:
            return self._plain(refusal, ids, targets, state, resets, weight)
        return self._replayed(given, state)

    def _plain(
        self, reason: str, ids: Tensor, targets: Tensor, state: State, resets: Tensor | None, weight: Tensor
    ) -> tuple[Tensor, State]:
        if reason not in self._said:
            self._said.add(reason)
            log.info("training window not captured: %s", reason)
        loss, state = self._loss(ids, targets, state, resets)
        loss.backward(weight)
        return loss.detach(), detach(state)

    def _record(self, given: list[Tensor], state: State) -> str | None:
        """Record a window on copies of the inputs; gradients end as they are. Returns why it failed, if it did."""
        self._inputs = [tensor.clone(memory_format=torch.contiguous_format) for tensor in given]
        ids, targets, resets, weight, *parts = self._inputs

        def run() -> list[Tensor]:
            loss, new_state = self._loss(ids, targets, _nest(parts, state), resets)
            found = torch.autograd.grad(loss, self._parameters, weight)
            for gradient, part in zip(self._gradients(), found, strict=True):
                gradient.add_(part)
            return [loss.detach(), *(part.detach() for layer in new_state for part in layer)]

        before = [gradient.clone() for gradient in self._gradients()]
        try:
            self._replay, self._outputs = record(run, ids.device)
        except RuntimeError as error:
            self._refusal = f"recording failed: {error}"
        finally:
            for gradient, kept in zip(self._gradients(), before, strict=True):
                gradient.copy_(kept)
        if self._refusal is None:
            log.info("training window captured in a CUDA graph")
        return self._refusal

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def _replayed(self, given: list[Tensor], state: State) -> tuple[Tensor, State]:
        assert self._replay is not None
        for static, tensor in zip(self._inputs, given, strict=True):
            static.copy_(tensor)
        self._replay()
        loss, *parts = self._outputs
        return loss.clone(), _nest([part.clone() for part in parts], state)


def record(run: Callable[[], list[Tensor]], device: torch.device) -> tuple[Callable[[], None], list[Tensor]]:
    """Capture `run` in a CUDA graph; return what replays it, and the tensors that hold its results after each replay.

    The GPU's generator is left as it was, so that a run that goes on records without drawing other numbers.

    Raises:
        RuntimeError: an operation that a graph cannot hold, or not enough memory.
    """
    generator = torch.cuda.get_rng_state(device)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.device(device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    run()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                outputs = run()
    finally:
        torch.cuda.set_rng_state(generator, device)
    return graph.replay, outputs


def window_of(model: LanguageModel) -> CapturedWindow:
    """Return a model's training window."""
    refusal = None
    if model.config.model != "mLSTM":
        refusal = f"torch's {model.config.model} is cut at reset positions, which are read from the GPU"
    return CapturedWindow(model.loss, model.parameters(), refusal=refusal)


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _nest(parts: list[Tensor], like: State) -> State:
    """Group the parts of a state by layer."""
    rest = iter(parts)
    return [tuple(next(rest) for _ in layer) for layer in like]
