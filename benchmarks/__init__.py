"""The figures the documentation states, as ratios measured side by side: `make bench`."""
