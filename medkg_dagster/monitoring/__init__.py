"""What a deployment counts, as Prometheus reads it."""
