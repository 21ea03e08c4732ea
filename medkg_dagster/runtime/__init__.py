"""What happens inside a step: building the stage, calling it, keeping its contract, storing its state."""
