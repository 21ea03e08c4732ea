"""How often sensors look, and how much one look may start."""

# Less than the five seconds between two rounds of the daemon, or a sensor would now and then miss a round.
TICK_SECONDS = 2
STARTS_PER_TICK = 25
