"""The files of a run: the model, the resume files, and the room that they need. Rank 0 alone has them."""

import glob
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sentneuron.core.atomic import remove_leftovers, storage_error, sync_folder
from sentneuron.core.config import TrainConfig
from sentneuron.core.errors import StorageError
from sentneuron.core.lock import sole_writer
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training.journal import log_path
from sentneuron.core.training.parts import Parts
from sentneuron.core.training.resume import RunState, resume_path, save_run

ROOM = 2
"""Checkpoints that must fit beside what is there: while one is written the one before still stands."""


class RunFiles:
    """Writes what a run leaves behind, each file whole or not at all."""

    def __init__(self, config: TrainConfig, parts: Parts, *, announce: Callable[[str], None]) -> None:
        self.save = config.save
        self.resume = resume_path(config.save)
        self._parts = parts
        self._keep = config.keep
        self._announce = announce
        self._is_low = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs away from these files for the time of a block; remove what a killed run had begun to write.

        Raises:
            OutputError: another run writes them.
        """
        with sole_writer(self.save):
            for path in (self.save, self.resume, log_path(self.save)):
                remove_leftovers(path)
            yield

    def require_room(self, checkpoint_bytes: int) -> None:
        """Check that two checkpoints fit on the disk before work starts.

        Raises:
            StorageError: they do not; names the room and the need.
        """
        free = shutil.disk_usage(self.save.parent).free
        if free < ROOM * checkpoint_bytes:
            raise StorageError(
                f"{self.save.parent.absolute()} has {free / 1e6:,.1f} MB free, and two saves take "
                f"{ROOM * checkpoint_bytes / 1e6:,.1f} MB",
                hint="free some space, or --save elsewhere",
            )

    def write_run(self, run: RunState) -> None:
        """Write the resume file; of the earlier ones keep as many as asked for, named by their step.

        Raises:
            OutputError, StorageError: it cannot be written; the one before stands.
        """
        save_run(self.resume, run)
        self._warn_of_little_room(self.resume.stat().st_size)
        if self._keep == 1:
            return
        try:
            kept = self.resume.with_name(f"{self.save.stem}.resume-{run.step:09}.pt")
            kept.unlink(missing_ok=True)
            os.link(self.resume, kept)  # costs no room until the next save
            for old in sorted(self.resume.parent.glob(f"{glob.escape(self.save.stem)}.resume-*.pt"))[: -self._keep]:
                old.unlink()
            sync_folder(self.resume.parent)
        except OSError as error:
            raise storage_error(error, self.resume) from error

    def write_model(self, model: LanguageModel, run: RunState, *, num_bytes: int) -> None:
        """Write the model file, with a record of the training so far, on `num_bytes`.

        Raises:
            OutputError, StorageError: it cannot be written; the one before stands.
        """
        training = {
            "steps": run.step,
            "bytes": num_bytes,
            "bits_per_byte": run.bits_per_byte,
            "valid_bits_per_byte": run.best_valid,
            "seconds": run.seconds,
            **self._parts.fingerprints,
            "settings": {name: value for name, value in run.identity.items() if not name.endswith("fingerprint")},
            "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        }
        rule = self._parts.corpus.rule
        save_model(self.save, SavedModel(kind="language-model", model=model, rule=rule, training=training))

    def read_model(self) -> SavedModel:
        """Return the model file's content."""
        return load_model(self.save)

    def rewrite_model(self, saved: SavedModel, *, dtype: torch.dtype) -> None:
        """Write what `read_model` returned, whose weights were in `dtype`, with another record.

        Raises:
            OutputError, StorageError: it cannot be written; the one before stands.
        """
        save_model(self.save, saved, dtype=dtype)

    def _warn_of_little_room(self, checkpoint_bytes: int) -> None:
        free = shutil.disk_usage(self.save.parent).free
        is_low = free < ROOM * checkpoint_bytes
        if is_low and not self._is_low:
            self._announce(
                f"warning: {free / 1e6:,.1f} MB are left for the next saves, {checkpoint_bytes / 1e6:,.1f} MB each"
            )
        self._is_low = is_low
