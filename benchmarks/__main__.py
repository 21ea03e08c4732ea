"""Run the benchmarks: `python -m benchmarks [NAME ...]`."""

from benchmarks.command import main

main()
