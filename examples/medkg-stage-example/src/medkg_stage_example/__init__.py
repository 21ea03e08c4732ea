"""A stage type that replaces identifiers of people in documents; `stage.register` is the entry point."""
