"""The trainer's rate against the bare operation's: what data, logging, progress and checks for finite numbers cost.

    python benchmarks/trainer_rate.py --nhid 512 --batch-size 64 --seq-length 128 --threads 1
    python benchmarks/trainer_rate.py --nhid 128 --profile

Trains on made-up reviews through `core.training.loop.train`, progress lines and log file included, and takes turns with
it in the same process: after every BLOCK steps of the trainer, BLOCK bare steps (window, backward pass, clipping, Adam)
of the same shape, kernel and model on random bytes. Saving is not in the figures: it comes once in ten minutes. A share
is the trainer's rate over the bare step's, the blocks beside one another compared; 90 % is asked for. On a machine that
others use as well, the share in CPU-seconds of the process, its reading thread included, says more.

`--profile` also lists where the trainer's own Python spends its time; what a function costs inside torch is counted to
the call that waits for it, which on a GPU is the one that reads a number back.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from bare_step import MlstmStep, Shape, decoder_flops, mlstm_flops, mlstm_trainee
from make_corpus import write_corpus
from measuring import RESULTS, ratio, summary, write_result

from sentneuron.commands.console import Console
from sentneuron.core.config import ModelConfig, ShardConfig, TrainConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.kernels.choice import choose_kernel
from sentneuron.core.training import loop

WARMUP_BLOCKS = 1
"""Left out of the figures: the first windows of an epoch are read one by one, and memory is not laid out yet."""
PROFILED = (
    r"sentneuron/(core/(training|data|model)|commands)/|item|run_backward|clip_grad|adam\.py|from_numpy|zero_grad"
)
"""What `--profile` lists: the trainer's own functions, and torch's that it calls."""


@dataclass(kw_only=True)
class Turns:
    """A progress callback that lets the bare step have its turn after every `block` steps of the trainer.

    What comes before the first turn and after the last one is in no figure.
    """

    bare: Callable[[], None]
    block: int
    num_blocks: int
    show: Callable[..., None]
    finish: Callable[[], Any] = lambda: None
    profile: cProfile.Profile | None = None
    trainer_seconds: list[float] = field(default_factory=list)
    bare_seconds: list[float] = field(default_factory=list)
    trainer_cpu_seconds: list[float] = field(default_factory=list)
    bare_cpu_seconds: list[float] = field(default_factory=list)
    _steps: int = 0
    _started: tuple[float, float] | None = None

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        self.show(done, total, note)
        self._steps += 1
        if self._steps % self.block:
            return
        self.finish()
        start, cpu_start = time.perf_counter(), time.process_time()
        if self._started is not None:
            if self.profile is not None:
                self.profile.disable()
            self.trainer_seconds.append(start - self._started[0])
            self.trainer_cpu_seconds.append(cpu_start - self._started[1])
            for _ in range(self.block):
                self.bare()
            self.finish()
            self.bare_seconds.append(time.perf_counter() - start)
            self.bare_cpu_seconds.append(time.process_time() - cpu_start)
        if self.profile is not None and self._steps < self.num_blocks * self.block:
            self.profile.enable()
        self._started = time.perf_counter(), time.process_time()


def make_shards(folder: Path, *, num_bytes: int) -> Path:
    """Make shards of at least `num_bytes` of text, all of it for training."""
    write_corpus(folder / "reviews.json", megabytes=0.1 + 1.8e-6 * num_bytes)
    config = ShardConfig(
        inputs=(str(folder / "reviews.json"),), output=folder / "reviews.shards", shards=10, split=(1,), workers=1
    )
    write_shards(config)
    return folder / "reviews.shards"


def measure(
    shape: Shape,
    *,
    kernel: str,
    folder: Path,
    rounds: int,
    block: int,
    settings: dict[str, Any],
    profile: cProfile.Profile | None = None,
) -> dict[str, Any]:
    """Train and take turns; return the figures. `settings` are further fields of the trainer's configuration."""
    num_steps = block * (1 + WARMUP_BLOCKS + rounds)
    data = make_shards(folder, num_bytes=num_steps * shape.num_bytes + 1)
    config = TrainConfig(
        data=str(data),
        model=ModelConfig(nhid=shape.nhid),
        batch_size=shape.num_streams,
        seq_length=shape.seq_length,
        max_steps=num_steps,
        kernel=kernel,  # type: ignore[arg-type]
        device=shape.device,
        save=folder / "model.pt",
        save_every=str(num_steps + 1),
        resume="never",
        **settings,
    )
    bare = MlstmStep(mlstm_trainee(shape), shape, choose_kernel(kernel), captured=True)
    console = Console()
    with console.progress("training") as show:
        finish = torch.cuda.synchronize if shape.device.startswith("cuda") else lambda: None
        turns = Turns(bare=bare, block=block, num_blocks=num_steps // block, show=show, finish=finish, profile=profile)
        report = loop.train(config, progress=turns, announce=console.say)
    trainer, alone = turns.trainer_seconds[WARMUP_BLOCKS:], turns.bare_seconds[WARMUP_BLOCKS:]
    num_bytes = block * shape.num_bytes
    return {
        "shape": {"nhid": shape.nhid, "num_streams": shape.num_streams, "seq_length": shape.seq_length},
        "dtype": str(shape.dtype).removeprefix("torch."),
        "device": shape.device,
        "kernel": kernel,
        "steps_a_block": block,
        "profiled": profile is not None,
        "bytes_per_second": {"trainer": summary(trainer, amount=num_bytes), "bare": summary(alone, amount=num_bytes)},
        "trainer_share_of_bare": ratio(alone, trainer),
        "in_cpu_seconds": ratio(turns.bare_cpu_seconds[WARMUP_BLOCKS:], turns.trainer_cpu_seconds[WARMUP_BLOCKS:]),
        "flops_per_byte": mlstm_flops(shape.nhid) + decoder_flops(shape.nhid),
        "log_interval": config.log_interval,
        "bits_per_byte": report.bits_per_byte,
    }


def print_table(values: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    shape, share = values["shape"], values["trainer_share_of_bare"]
    print(f"H={shape['nhid']} B={shape['num_streams']} T={shape['seq_length']} {values['dtype']} {values['device']}")
    for name, rate in values["bytes_per_second"].items():
        low, high = rate["quartile_low"], rate["quartile_high"]
        print(f"{name:8} {rate['median']:12,.0f} bytes/s   quartiles {low:,.0f} to {high:,.0f}")
    for name, found in (("trainer / bare", share), ("the same in CPU-seconds", values["in_cpu_seconds"])):
        low, high = found["quartile_low"], found["quartile_high"]
        print(f"{name} {found['median']:.3f} ({low:.3f} to {high:.3f}, {found['rounds']} blocks)")


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64, help="streams")
    parser.add_argument("--seq-length", type=int, default=128)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--kernel", default="auto", choices=["auto", "reference", "sequence", "fused"])
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--rounds", type=int, default=7, help="blocks that count, 2 or more")
    parser.add_argument("--block", type=int, default=5, help="steps before the other has its turn")
    parser.add_argument("--log-interval", type=int, default=TrainConfig.log_interval)
    parser.add_argument("--profile", action="store_true", help="list the trainer's dearest functions")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()

    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"error: --device cuda: torch {torch.__version__} sees no CUDA device")
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    shape = Shape(nhid=args.nhid, num_streams=args.batch_size, seq_length=args.seq_length, device=args.device)
    profile = cProfile.Profile() if args.profile else None
    with tempfile.TemporaryDirectory() as folder:
        values = measure(
            shape,
            kernel=args.kernel,
            folder=Path(folder),
            rounds=args.rounds,
            block=args.block,
            settings={"log_interval": args.log_interval},
            profile=profile,
        )
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(PROFILED)
    print_table(values)
    threads = f"_{torch.get_num_threads()}t" if args.device == "cpu" else ""
    print(write_result(f"trainer_rate_{shape.name}{threads}", values, folder=args.output))


if __name__ == "__main__":
    main()
