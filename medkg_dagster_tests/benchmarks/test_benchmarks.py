"""Every benchmark runs at a small scale, so that none of them rots; no figure is judged here."""

import pytest

from benchmarks import cold_start, definitions_build, stage_overhead, stage_resolution
from benchmarks.figures import Figure


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param(lambda: definitions_build.measure(pipelines=2, repeats=1), id="definitions"),
        pytest.param(lambda: stage_overhead.measure(stages=2, repeats=1), id="overhead"),
        pytest.param(lambda: stage_resolution.measure(large=20, repeats=1), id="resolution"),
        pytest.param(lambda: cold_start.measure(repeats=1), id="start"),
    ],
)
def test_a_benchmark_yields_its_figures(figures: object) -> None:
    assert callable(figures)
    found = list(figures())
    assert found
    for figure in found:
        assert isinstance(figure, Figure)
        assert figure.name in figure.row()
