"""The training run: windows in, weights out, saved so that it can be killed at any time and go on exactly.

Every rank runs the same loop, and all of them do at the same step what takes all of them: log, validate, save, stop.
What only one can know, a signal or what the clock says, travels with the step's gradients. Rank 0 alone writes files
and speaks.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.corpus import find_shards
from sentneuron.core.data.shards import Shard
from sentneuron.core.errors import DataError, InterruptedRunError, StoppedError
from sentneuron.core.kernels.choice import require_kernel
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.device import pick_device
from sentneuron.core.signals import StopRequest
from sentneuron.core.training.batch import share_batch
from sentneuron.core.training.evaluate import bits_per_byte
from sentneuron.core.training.files import RunFiles
from sentneuron.core.training.journal import Journal, log_path
from sentneuron.core.training.learner import Learner, Notes, Weights, introduction
from sentneuron.core.training.optimizer import DTYPES, Outcome
from sentneuron.core.training.parts import Parts, open_parts
from sentneuron.core.training.report import Progress, TrainReport, ignore_progress
from sentneuron.core.training.resume import GLOBAL_BATCH, agree_on_run, resume_path, resumed_path, unusable
from sentneuron.core.training.schedule import Schedule, make_schedule
from sentneuron.core.training.start import begin_with
from sentneuron.core.values import parse_interval

MAX_SKIPPED = 50
"""Steps without a finite loss and gradient in a row that end the run."""


def train(
    config: TrainConfig,
    *,
    ranks: Ranks | None = None,
    device: torch.device | None = None,
    progress: Progress = ignore_progress,
    announce: Callable[[str], None] = lambda line: None,
) -> TrainReport:
    """Train a language model, or go on with a run that was stopped; writes `config.save` and its companions.

    All `ranks` call this together; None stands alone. `device` is this rank's; None: `config.device`.

    Raises:
        StoppedError, InterruptedRunError: a signal came; everything was saved first.
        DataError: the data cannot be used, or the run diverged.
        OutputError: the files here belong to another run.
        UsageError: the global batch cannot be shared equally among the ranks.
        LostRankError: another rank is gone.
    """
    ranks = ranks or Ranks()
    if not ranks.is_first:
        progress, announce = ignore_progress, lambda line: None
    device = device or pick_device(config.device)
    require_kernel(config.kernel, device)
    data = config.data or find_shards(Path())
    announce(f"data: {data}")
    parts = open_parts(config, data, ranks=ranks, progress=progress, announce=announce)
    config, start = begin_with(config, parts, ranks=ranks, announce=announce)
    files = RunFiles(config, parts, announce=announce) if ranks.is_first else None
    with nullcontext() if files is None else files.lock():
        report = _Trainer(config, parts, start, ranks, device, files, progress, announce).run()
        ranks.wait()
    return report


class _Trainer:
    def __init__(
        self,
        config: TrainConfig,
        parts: Parts,
        start: Weights | None,
        ranks: Ranks,
        device: torch.device,
        files: RunFiles | None,
        progress: Progress,
        announce: Callable[[str], None],
    ) -> None:
        self.config = config
        self.parts = parts
        self.ranks = ranks
        self.files = files
        self.progress = progress
        self.announce = announce
        self.run_state, self.is_resumed = agree_on_run(config, parts.fingerprints, ranks)
        num_streams = self.run_state.identity[GLOBAL_BATCH]
        batch = share_batch(num_streams, rank=ranks.rank, num_ranks=ranks.size, batch_size=config.batch_size)
        self.batch_bytes = num_streams * config.seq_length
        self.learner = Learner(config, parts.train, batch, ranks, device, start=start)
        self.stream = self.learner.stream
        self.schedule: Schedule = make_schedule(config, steps_per_epoch=self.stream.num_steps, num_streams=num_streams)
        if self.is_resumed:
            try:
                self.learner.restore(self.run_state)
            except (KeyError, ValueError) as error:
                raise unusable(resumed_path(config), str(error)) from error
        self.learner.optimizer.broadcast()
        self.seconds_before = self.run_state.seconds
        self.started = time.monotonic()
        self.has_saved = self.is_resumed

    def run(self) -> TrainReport:
        """Train to the end, the time limit or a signal; raises as `train`."""
        run, config = self.run_state, self.config
        if run.is_finished:
            self.announce(f"{config.save}: this run finished at step {run.step:,}; give --resume never to start over")
            return self._report(was_finished=True)
        if self.files is not None:
            self.files.require_room(self.learner.checkpoint_bytes)
        self._introduce()
        journal = Journal(log_path(config.save), step=run.step) if self.ranks.is_first else None
        self.learner.model.train()
        with StopRequest() as stop:
            stopped_by = self._steps(journal, stop)
            if stopped_by.stop or stopped_by.interrupt:
                self._save()
                self.ranks.wait()  # nobody leaves, and so ends the others, before the files are there
                name = "SIGINT" if stopped_by.interrupt else stop.name
                message = f"stopped by {name} after step {run.step:,}, saved {resume_path(config.save)}"
                kind = InterruptedRunError if stopped_by.interrupt else StoppedError
                raise kind(message, hint="run again to go on")
        run.is_finished = run.step >= self.schedule.num_steps
        self._validate(journal)
        self._save()
        return self._report(was_finished=False)

    def _steps(self, journal: Journal | None, stop: StopRequest) -> Notes:
        """Train until the last step, the time limit or a signal; return what ended it."""
        run, config = self.run_state, self.config
        save_steps, save_seconds = parse_interval(config.save_every)
        saved_at = logged_at = time.monotonic()
        logged_step = run.step
        note = ""

        def take_notes() -> Notes:
            now = time.monotonic()
            return Notes(
                stop=stop.is_stop,
                interrupt=stop.is_interrupt,
                save=self.ranks.is_first and save_seconds is not None and now - saved_at >= save_seconds,
                end=self.ranks.is_first
                and config.max_hours is not None
                and now - self.started >= config.max_hours * 3600,
            )

        while run.step < self.schedule.num_steps:
            outcome = self.learner.step(run.step, schedule=self.schedule, notes=take_notes)
            self._count(outcome)
            notes = Notes.decode(outcome.notes)
            now = time.monotonic()
            run.seconds = self.seconds_before + now - self.started
            if run.step % config.log_interval == 0 or run.step == self.schedule.num_steps:
                rate = (run.step - logged_step) * self.batch_bytes / max(now - logged_at, 1e-9)
                logged_at, logged_step = now, run.step
                note = self._log(journal, rate)
            self.progress(run.step * self.batch_bytes, self.schedule.num_steps * self.batch_bytes, note)
            is_save = run.step % save_steps == 0 if save_steps else notes.save
            is_eval = is_save if config.eval_every is None else run.step % config.eval_every == 0
            if run.step < self.schedule.num_steps:
                if is_eval:
                    self._validate(journal)
                if is_save:
                    self._save()
                    saved_at = time.monotonic()
            if notes.end:
                self.announce(f"stopping after {config.max_hours} hours at step {run.step:,}; run again to go on")
            if notes.end or notes.stop or notes.interrupt:
                return notes
        return Notes()

    def _count(self, outcome: Outcome) -> None:
        """Take note of a step.

        Raises:
            DataError: MAX_SKIPPED steps in a row were not finite.
        """
        run = self.run_state
        run.step += 1
        if outcome.is_finite:
            run.interval_steps += 1
            run.grad_norm = outcome.grad_norm
            run.num_skipped = 0
            return
        run.num_skipped += 1
        what = f"gradient norm {outcome.grad_norm:.3g}" if outcome.loss_is_finite else "the loss is not finite"
        scale = self.learner.optimizer.loss_scale
        now = f", loss scale now {scale.value:,.0f}" if scale.is_dynamic else ""
        self.announce(f"step {run.step:,} skipped: {what}{now}")
        if run.num_skipped >= MAX_SKIPPED:
            saved = self.config.save if self.config.save.exists() else "no file yet"
            raise DataError(
                f"the run diverged: {MAX_SKIPPED} steps in a row were not finite; last good model: {saved}",
                hint="lower --lr or --clip and start over with --resume never",
            )

    def _log(self, journal: Journal | None, rate: float) -> str:
        """Write a log line, and return the figures as text."""
        run, optimizer, ranks = self.run_state, self.learner.optimizer, self.ranks
        summed = self.learner.summed_loss()
        run.bits_per_byte = summed / run.interval_steps / math.log(2) if run.interval_steps else None
        self.learner.start_losses()
        run.interval_steps = 0
        if journal is not None:
            journal.write(
                step=run.step,
                epoch=run.step / self.stream.num_steps,
                bytes=run.step * self.batch_bytes,
                bits_per_byte=run.bits_per_byte,
                learning_rate=self.schedule.learning_rate(max(0, optimizer.num_updates - 1)),
                grad_norm=run.grad_norm,
                loss_scale=optimizer.loss_scale.value,
                bytes_per_second=rate,
                seconds=run.seconds,
            )
        shown = "-" if run.bits_per_byte is None else f"{run.bits_per_byte:.3f}"
        note = f"{shown} bits/byte, grad norm {run.grad_norm:.2f}"
        if optimizer.loss_scale.is_dynamic:
            note += f", loss scale {optimizer.loss_scale.value:,.0f}"
        return note if ranks.size == 1 else f"{note}, {rate / ranks.size:,.0f} B/s each"

    def _validate(self, journal: Journal | None) -> None:
        """Measure on the validation shards where there are any, and write the model file if it is the best so far."""
        run = self.run_state
        if not self.parts.valid:
            return
        valid = self._measure(self.parts.valid)
        if journal is not None:
            journal.write(step=run.step, valid_bits_per_byte=valid, seconds=run.seconds)
        self.announce(f"step {run.step:,}: {valid:.4f} bits per byte on held-out text")
        if run.best_valid is None or valid < run.best_valid:
            run.best_valid = valid
            if not self.has_saved:
                self._write_run()
            self._write_model()

    def _save(self) -> None:
        """Write the resume file, and the model file where no validation decides about it."""
        self._write_run()
        if self.run_state.best_valid is None:
            self._write_model()

    def _write_run(self) -> None:
        """Write the resume file, before the first model file: a model alone could be anybody's, and is not replaced."""
        run, learner = self.run_state, self.learner
        run.interval_loss = learner.summed_loss()
        run.hidden = learner.hidden()
        run.model, run.optimizer = learner.optimizer.weights(), learner.optimizer.state_dict()
        if self.files is not None:
            self.files.write_run(run)
        self.has_saved = True

    def _write_model(self) -> None:
        run = self.run_state
        if self.files is not None:
            self.files.write_model(self.learner.model, run, num_bytes=run.step * self.batch_bytes)

    def _report(self, *, was_finished: bool) -> TrainReport:
        """Measure the best model on the test shards, note the figure in its file, and sum up."""
        run, ranks, name = self.run_state, self.ranks, "test_bits_per_byte"
        best = self.files.read_model() if self.files is not None else None
        told = ranks.share({name: best.training.get(name) if best else None})[name]
        if run.is_finished and self.parts.test and told is None:
            self.learner.optimizer.end_with(dict(best.model.named_parameters()) if best else {})
            told = self._measure(self.parts.test)
            if self.files is not None and best is not None:
                best.training[name] = told
                self.files.rewrite_model(best, dtype=DTYPES[self.config.precision])
        return TrainReport(
            save=self.config.save,
            steps=run.step,
            epochs=run.step / self.stream.num_steps,
            bytes=run.step * self.batch_bytes,
            tail_bytes=self.stream.tail_bytes,
            bits_per_byte=run.bits_per_byte,
            valid_bits_per_byte=run.best_valid,
            test_bits_per_byte=told,
            seconds=run.seconds,
            was_finished=was_finished,
        )

    def _measure(self, shards: list[Shard]) -> float:
        return bits_per_byte(self.learner.model, shards, config=self.config, ranks=self.ranks)

    def _introduce(self) -> None:
        self.announce(introduction(self.learner, num_steps=self.schedule.num_steps))
        if self.is_resumed:
            self.announce(f"going on from step {self.run_state.step:,} of {resumed_path(self.config)}")
