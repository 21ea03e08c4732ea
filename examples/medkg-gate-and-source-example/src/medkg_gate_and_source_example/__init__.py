"""The source `csv-notes` and the gate condition `sign-off`, each an `Extension` that an entry point names."""
