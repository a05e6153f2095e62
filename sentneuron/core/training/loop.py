"""The training run: windows in, weights out, saved so that it can be killed at any time and go on exactly."""

import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.corpus import find_shards
from sentneuron.core.data.shards import Shard
from sentneuron.core.data.stream import EpochStream
from sentneuron.core.errors import DataError, InterruptedRunError, StoppedError
from sentneuron.core.kernels.choice import require_kernel
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.language_model import LanguageModel, State
from sentneuron.core.training.captured import window_of
from sentneuron.core.training.evaluate import bits_per_byte
from sentneuron.core.training.journal import Journal
from sentneuron.core.training.parts import Parts, open_parts
from sentneuron.core.training.report import Progress, TrainReport, ignore_progress
from sentneuron.core.training.resume import (
    RunState,
    find_run,
    restore,
    resume_path,
    run_identity,
    save_run,
    snapshot,
)
from sentneuron.core.training.schedule import Schedule, make_schedule
from sentneuron.core.training.signals import StopRequest
from sentneuron.core.values import parse_interval

MAX_SKIPPED = 50
"""Steps without a finite loss and gradient in a row that end the run."""


def train(
    config: TrainConfig,
    *,
    progress: Progress = ignore_progress,
    announce: Callable[[str], None] = lambda line: None,
) -> TrainReport:
    """Train a language model, or go on with a run that was stopped; writes `config.save` and its companions.

    Raises:
        StoppedError, InterruptedRunError: a signal came; everything was saved first.
        DataError: the data cannot be used, or the run diverged.
        OutputError: the files here belong to another run.
    """
    data = config.data or find_shards(Path())
    announce(f"data: {data}")
    parts = open_parts(config, data, progress=progress, announce=announce)
    return _Trainer(config, parts, progress, announce).run()


class _Trainer:
    def __init__(self, config: TrainConfig, parts: Parts, progress: Progress, announce: Callable[[str], None]) -> None:
        self.config = config
        self.parts = parts
        self.progress = progress
        self.announce = announce
        self.device = pick_device(config.device)
        self.stream = self._epoch(0)
        self.batch_bytes = config.batch_size * config.seq_length
        self.schedule: Schedule = make_schedule(
            config, steps_per_epoch=self.stream.num_steps, num_streams=config.batch_size
        )
        require_kernel(config.kernel, self.device)
        torch.manual_seed(config.seed)
        self.model = LanguageModel(config.model, kernel=config.kernel, recompute=config.recompute).to(self.device)
        self.window = window_of(self.model)
        self.optimizer = _make_optimizer(config, self.model)
        self.hidden: State = self.model.initial_state(config.batch_size)
        identity = run_identity(config, parts.fingerprints)
        found = find_run(config, identity)
        if found is None:
            self.run_state = snapshot(
                RunState(identity=identity, hidden=[], model={}, optimizer={}, rng=torch.empty(0)),
                self.model,
                self.optimizer,
                self.hidden,
            )
        else:
            self.run_state = found
            self.hidden = restore(found, self.model, self.optimizer)
        self.is_resumed = found is not None
        self.seconds_before = self.run_state.seconds
        self.started = time.monotonic()
        self.bits: float | None = None

    def run(self) -> TrainReport:
        """Train to the end, the time limit or a signal; raises as `train`."""
        run, config = self.run_state, self.config
        if run.is_finished:
            self.announce(f"{config.save}: this run finished at step {run.step:,}; give --resume never to start over")
            return self._report(was_finished=True)
        self._introduce()
        journal = Journal(config.save.with_suffix(".log.jsonl"), step=run.step)
        self.model.train()
        with StopRequest() as stop:
            self._steps(journal, stop)
            if stop.received is not None:
                self._save()
                message = f"stopped by {stop.received.name} after step {run.step:,}, saved {resume_path(config.save)}"
                kind = InterruptedRunError if stop.received.name == "SIGINT" else StoppedError
                raise kind(message, hint="run again to go on")
        run.is_finished = run.step >= self.schedule.num_steps
        self._validate(journal)
        self._save()
        return self._report(was_finished=False)

    def _steps(self, journal: Journal, stop: StopRequest) -> None:
        """Train until the last step, the time limit or a signal."""
        run, config = self.run_state, self.config
        save_steps, save_seconds = parse_interval(config.save_every)
        saved_at = logged_at = time.monotonic()
        logged_step = run.step
        note = ""
        while run.step < self.schedule.num_steps and stop.received is None:
            self._step()
            now = time.monotonic()
            run.seconds = self.seconds_before + now - self.started
            if run.step % config.log_interval == 0 or run.step == self.schedule.num_steps:
                rate = (run.step - logged_step) * self.batch_bytes / max(now - logged_at, 1e-9)
                logged_at, logged_step = now, run.step
                note = self._log(journal, rate)
            self.progress(run.step * self.batch_bytes, self.schedule.num_steps * self.batch_bytes, note)
            is_save = run.step % save_steps == 0 if save_steps else now - saved_at >= (save_seconds or math.inf)
            is_eval = is_save if config.eval_every is None else run.step % config.eval_every == 0
            if run.step < self.schedule.num_steps:
                if is_eval:
                    self._validate(journal)
                if is_save:
                    self._save()
                    saved_at = time.monotonic()
            if config.max_hours is not None and now - self.started >= config.max_hours * 3600:
                self.announce(f"stopping after {config.max_hours} hours at step {run.step:,}; run again to go on")
                return

    def _step(self) -> None:
        """Train on one window; a step that is not finite changes nothing but the counters.

        Raises:
            DataError: MAX_SKIPPED steps in a row were not finite.
        """
        run, config = self.run_state, self.config
        epoch, index = divmod(run.step, self.stream.num_steps)
        if epoch != self.stream_epoch:
            self.stream = self._epoch(epoch)
        if index == 0:
            self.hidden = self.model.initial_state(config.batch_size)
        window = self.stream.window(index)
        ids, targets = (torch.from_numpy(part).to(self.device) for part in (window.ids, window.targets))
        resets = None if window.resets is None else torch.from_numpy(window.resets).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(run.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss, hidden = self.window(ids, targets, self.hidden, resets)
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip).item()
        run.step += 1
        if math.isfinite(loss.item()) and math.isfinite(grad_norm):
            self.optimizer.step()
            self.hidden = hidden
            run.interval_loss += loss.item()
            run.interval_steps += 1
            run.grad_norm = grad_norm
            run.num_skipped = 0
            return
        run.num_skipped += 1
        self.announce(f"step {run.step:,} skipped: loss {loss.item():.3g}, gradient norm {grad_norm:.3g}")
        if run.num_skipped >= MAX_SKIPPED:
            saved = self.config.save if self.config.save.exists() else "no file yet"
            raise DataError(
                f"the run diverged: {MAX_SKIPPED} steps in a row were not finite; last good model: {saved}",
                hint="lower --lr or --clip and start over with --resume never",
            )

    def _log(self, journal: Journal, rate: float) -> str:
        """Write a log line, and return the figures as text."""
        run = self.run_state
        self.bits = run.interval_loss / run.interval_steps / math.log(2) if run.interval_steps else None
        run.interval_loss, run.interval_steps = 0.0, 0
        journal.write(
            step=run.step,
            epoch=run.step / self.stream.num_steps,
            bytes=run.step * self.batch_bytes,
            bits_per_byte=self.bits,
            learning_rate=self.schedule.learning_rate(run.step - 1),
            grad_norm=run.grad_norm,
            loss_scale=1.0,
            bytes_per_second=rate,
            seconds=run.seconds,
        )
        shown = "-" if self.bits is None else f"{self.bits:.3f}"
        return f"{shown} bits/byte, grad norm {run.grad_norm:.2f}"

    def _validate(self, journal: Journal) -> None:
        """Measure on the validation shards where there are any, and write the model file if it is the best so far."""
        run = self.run_state
        if not self.parts.valid:
            return
        valid = self._measure(self.model, self.parts.valid)
        journal.write(step=run.step, valid_bits_per_byte=valid, seconds=run.seconds)
        self.announce(f"step {run.step:,}: {valid:.4f} bits per byte on held-out text")
        if run.best_valid is None or valid < run.best_valid:
            run.best_valid = valid
            self._write_model()

    def _save(self) -> None:
        """Write the resume file, and the model file where no validation decides about it."""
        run = self.run_state
        if run.best_valid is None:
            self._write_model()
        save_run(resume_path(self.config.save), snapshot(run, self.model, self.optimizer, self.hidden))

    def _write_model(self) -> None:
        run = self.run_state
        training: dict[str, Any] = {
            "steps": run.step,
            "bytes": run.step * self.batch_bytes,
            "bits_per_byte": self.bits,
            "valid_bits_per_byte": run.best_valid,
            "seconds": run.seconds,
            **self.parts.fingerprints,
            "settings": {name: value for name, value in run.identity.items() if not name.endswith("fingerprint")},
            "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        }
        saved = SavedModel(kind="language-model", model=self.model, rule=self.parts.corpus.rule, training=training)
        save_model(self.config.save, saved)

    def _report(self, *, was_finished: bool) -> TrainReport:
        """Measure the best model on the test shards, note the figure in its file, and sum up."""
        run, best = self.run_state, load_model(self.config.save, device=self.device)
        if run.is_finished and self.parts.test and "test_bits_per_byte" not in best.training:
            best.training["test_bits_per_byte"] = self._measure(best.model, self.parts.test)
            save_model(self.config.save, best)
        return TrainReport(
            save=self.config.save,
            steps=run.step,
            epochs=run.step / self.stream.num_steps,
            bytes=run.step * self.batch_bytes,
            tail_bytes=self.stream.tail_bytes,
            bits_per_byte=self.bits,
            valid_bits_per_byte=run.best_valid,
            test_bits_per_byte=best.training.get("test_bits_per_byte"),
            seconds=run.seconds,
            was_finished=was_finished,
        )

    def _measure(self, model: LanguageModel, shards: list[Shard]) -> float:
        config = self.config
        return bits_per_byte(
            model,
            shards,
            max_streams=config.batch_size,
            seq_length=config.seq_length,
            persist_state=config.persist_state,
        )

    def _epoch(self, epoch: int) -> EpochStream:
        config = self.config
        self.stream_epoch = epoch
        return EpochStream(
            self.parts.train,
            num_streams=config.batch_size,
            seq_length=config.seq_length,
            epoch=epoch,
            seed=config.seed,
            persist_state=config.persist_state,
            prefetch=True,
        )

    def _introduce(self) -> None:
        config, stream = self.config, self.stream
        numbers = sum(parameter.numel() for parameter in self.model.parameters())
        self.announce(
            f"model: {config.model.model}, {config.model.nhid:,} units, {numbers:,} parameters, on {self.device}; "
            f"{stream.num_bytes:,} bytes an epoch in {config.batch_size} streams, {self.schedule.num_steps:,} steps of "
            f"{self.batch_bytes:,} bytes, {stream.tail_bytes:,} left over"
        )
        if self.is_resumed:
            source = resume_path(config.save) if config.resume == "auto" else config.resume
            self.announce(f"going on from step {self.run_state.step:,} of {source}")


def _make_optimizer(config: TrainConfig, model: LanguageModel) -> torch.optim.Optimizer:
    if config.optim == "Adam":
        return torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
    return torch.optim.SGD(model.parameters(), lr=config.lr)
