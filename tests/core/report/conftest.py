import pytest

from sentneuron.core.report import figure as figure_module


@pytest.fixture
def drawn(monkeypatch):
    """Keep the axes of every figure instead of writing it."""
    kept = []

    class Unwritten(figure_module.FigureCanvasAgg):
        def print_figure(self, *arguments, **options):
            kept.append(self.figure.axes[0])

    monkeypatch.setattr(figure_module, "FigureCanvasAgg", Unwritten)
    return kept
