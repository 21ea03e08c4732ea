"""From the plan to Dagster: ops, graphs, assets, jobs, sensors. Pure: nothing is fetched, opened or built."""
