"""Sources: where payloads come from."""
