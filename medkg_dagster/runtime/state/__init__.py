"""What stages wrote, kept by document: shards, what is remembered of earlier work, and the IO manager."""
