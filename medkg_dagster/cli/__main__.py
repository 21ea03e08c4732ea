"""`python -m medkg_dagster.cli`, the same as `medkg`."""

from medkg_dagster.cli.root import main

if __name__ == "__main__":
    main(prog_name="medkg")
