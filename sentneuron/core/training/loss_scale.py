"""The factor that lifts fp16 gradients above the smallest number of the type.

Source: Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740, section 3.2; doubling and halving as in
section 3.2's dynamic choice.
"""

START = 2.0**16
FLOOR = 1.0
"""Halving ends here: a scale that goes on falling hides a run that has diverged."""
CEILING = 2.0**24
"""Doubling ends here: gradients that leave room for more are too small to matter."""
PATIENCE = 2000
"""Finite steps in a row before the scale doubles."""


class LossScale:
    """A fixed factor, or one that halves when gradients overflow and doubles after PATIENCE steps without."""

    def __init__(self, fixed: float | None = None) -> None:
        """Start at `fixed` and stay there; None: start at START and follow the gradients."""
        self.is_dynamic = fixed is None
        self.value = START if fixed is None else fixed
        self.good_steps = 0
        """Finite steps since the last change."""

    def update(self, *, is_finite: bool) -> None:
        """Take note of a step."""
        if not self.is_dynamic:
            return
        if not is_finite:
            self.value = max(FLOOR, self.value / 2)
            self.good_steps = 0
            return
        self.good_steps += 1
        if self.good_steps == PATIENCE:
            self.value = min(CEILING, self.value * 2)
            self.good_steps = 0
