"""Every benchmark runs at a small scale, so that none of them rots; no figure is judged here."""

import pytest

from benchmarks import (
    backup,
    cold_start,
    definitions_build,
    documents,
    exports,
    ledger,
    metrics,
    page,
    plugin_discovery,
    search,
    stage_invocation,
    stage_overhead,
    stage_resolution,
)
from benchmarks.figures import Figure


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param(
            lambda: definitions_build.measure(pipelines=2, repeats=1, served_pipelines=2, served_repeats=1),
            id="definitions",
        ),
        pytest.param(lambda: plugin_discovery.measure(packages=4, repeats=1), id="discovery"),
        pytest.param(lambda: stage_invocation.measure(documents=3, calls=2, repeats=1), id="invocation"),
        pytest.param(lambda: stage_overhead.measure(stages=2, repeats=1, runs=1), id="overhead"),
        pytest.param(lambda: stage_resolution.measure(large=20, calls=100, repeats=1), id="resolution"),
        pytest.param(lambda: search.measure(documents=8, queries=3, repeats=1), id="search"),
        pytest.param(lambda: search.measure_large(documents=8, queries=3), id="search-large"),
        pytest.param(lambda: cold_start.measure(repeats=1), id="start"),
        pytest.param(lambda: ledger.measure_updates(processes=2, updates=5, repeats=1), id="ledger"),
        pytest.param(lambda: backup.measure(megabytes=1, writers=1, repeats=1), id="backup"),
        pytest.param(lambda: metrics.measure(jobs=20, documents=100, repeats=1), id="metrics"),
        pytest.param(lambda: documents.measure_withdrawal(edges=20, of_each=2, repeats=3), id="withdrawal"),
        pytest.param(lambda: exports.measure(edges=40, formats=("kgx", "csv")), id="exports"),
        pytest.param(lambda: page.measure(edges=40, shown=3, repeats=1), id="page"),
        pytest.param(lambda: ledger.measure_waiting(jobs=5, changed_jobs=2, repeats=1), id="waiting"),
    ],
)
def test_a_benchmark_yields_its_figures(figures: object) -> None:
    assert callable(figures)
    found = list(figures())
    assert found
    for figure in found:
        assert isinstance(figure, Figure)
        assert figure.name in figure.row()
