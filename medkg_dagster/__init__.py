"""Declarative biomedical pipelines, compiled from YAML and stage plugins into Dagster definitions."""

__version__ = "0.1.0"
