"""What `deploy/` names is there, and is as its guide says."""
