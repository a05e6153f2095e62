"""Bytes per second of a training step on the CPU: the window kernel against plain eager autograd, and a square product.

    python benchmarks/train_step.py --nhid 512 --rounds 7

Refuses to time kernels that do not agree on loss and gradients. Runs are interleaved in one process; trust the ratio.
"""

import argparse
import statistics
import sys

import torch
from measuring import interleaved, summary, write_result

from sentneuron.core.config import ModelConfig
from sentneuron.core.model.language_model import LanguageModel, detach


class Step:
    """One kernel's training step on random bytes: window, backward, clipping, Adam."""

    def __init__(self, kernel: str, *, nhid: int, num_streams: int, seq_length: int) -> None:
        torch.manual_seed(0)
        self.model = LanguageModel(ModelConfig(nhid=nhid), kernel=kernel)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)
        self.state = self.model.initial_state(num_streams)
        self.ids = torch.randint(0, 256, (num_streams, seq_length + 1), dtype=torch.uint8)

    def backward(self) -> torch.Tensor:
        loss, state = self.model.loss(self.ids[:, :-1], self.ids[:, 1:], self.state)
        self.state = detach(state)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss

    def __call__(self) -> None:
        self.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def check_pair(first: Step, second: Step) -> None:
    """Stop where loss or a gradient differ by more than rounding."""
    losses = first.backward().item(), second.backward().item()
    errors = [
        ((one.grad - two.grad).norm() / one.grad.norm()).item()
        for one, two in zip(first.model.parameters(), second.model.parameters(), strict=True)
        if one.grad is not None and two.grad is not None
    ]
    if abs(losses[0] - losses[1]) > 1e-4 or max(errors) > 1e-3:
        sys.exit(f"kernels differ: losses {losses}, gradient error {max(errors):.2g}; not timing them")


def main() -> None:
    """Check the pair, time it, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seq-length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()

    shape = {"nhid": args.nhid, "num_streams": args.batch_size, "seq_length": args.seq_length}
    steps = {name: Step(name, **shape) for name in ("reference", "sequence")}
    check_pair(steps["reference"], steps["sequence"])
    square = torch.randn(1024, 1024)
    seconds = interleaved({**steps, "square product": lambda: square @ square}, rounds=args.rounds)

    num_bytes = args.batch_size * args.seq_length
    rates = {name: summary(seconds[name], amount=num_bytes) for name in steps}
    product = summary(seconds["square product"], amount=2 * 1024**3)
    pairs = zip(seconds["reference"], seconds["sequence"], strict=True)
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    share = 30 * args.nhid**2 * rates["sequence"]["median"] / product["median"]
    path = write_result(
        f"train_step_{args.nhid}",
        {
            "shape": shape,
            "dtype": "float32",
            "bytes_per_second": rates,
            "sequence_over_reference": ratio,
            "square_product_flops": product,
            "sequence_share_of_square_product": share,
        },
    )
    for name, rate in rates.items():
        low, high = rate["quartile_low"], rate["quartile_high"]
        print(f"{name:10} {rate['median']:10,.0f} bytes/s   quartiles {low:,.0f} to {high:,.0f}")
    print(f"sequence / reference {ratio:.2f}; {share:.0%} of a square product of 1,024; {path}")


if __name__ == "__main__":
    main()
