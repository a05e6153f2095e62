"""The work folder of the reproduction: every stage leaves one result file, and is not run again while that one fits.

A result file holds what the stage was asked for (`settings`), what came of it (`result`), the seconds that it took and
the machine that it ran on. It appears whole or not at all, so a run can be killed at any time and started again; what a
stage had done by then is lost, but for the language models, whose training goes on from its last save.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import machine

from sentneuron.core.atomic import atomic_open

Announce = Callable[[str], None]


class Work:
    """A folder of result files; `announce` gets a line for each stage."""

    def __init__(self, folder: Path, *, announce: Announce) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.announce = announce
        self._asked: list[str] = []

    def result(self, name: str, settings: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """Return what `compute` returned, now or in an earlier run with the same settings: plain values, as JSON has
        them."""
        self._asked.append(name)
        path = self._path(name)
        asked = json.loads(json.dumps(settings))
        kept = json.loads(path.read_text("utf-8")) if path.exists() else None
        if kept is not None and kept["settings"] == asked:
            self.announce(f"{name}: done, {kept['seconds']:,.0f} s")
            return kept["result"]
        self.announce(f"{name}: begins")
        started = time.monotonic()
        result = compute()
        record = {
            "settings": asked,
            "result": result,
            "seconds": time.monotonic() - started,
            "machine": machine(),
        }
        text = json.dumps(record, indent=1) + "\n"
        with atomic_open(path) as file:
            file.write(text)
        self.announce(f"{name}: took {record['seconds']:,.0f} s")
        return json.loads(text)["result"]

    def records(self) -> dict[str, Any]:
        """Return the seconds and machine of every stage that this object has been asked for, in their order; of a
        training that was stopped and went on, the seconds of all its legs."""
        found = {name: json.loads(self._path(name).read_text("utf-8")) for name in self._asked}
        return {name: {"seconds": _seconds(kept), "machine": kept["machine"]} for name, kept in found.items()}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _seconds(kept: dict[str, Any]) -> float:
    """Return how long a stage took: what it says itself, where that is a number and longer."""
    told = kept["result"].get("seconds") if isinstance(kept["result"], dict) else None
    return max(kept["seconds"], told) if isinstance(told, float) else kept["seconds"]
