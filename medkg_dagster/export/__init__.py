"""The knowledge graph as files that others read, streamed, with a manifest that says where it is from."""

from medkg_dagster.export.formats import FORMATS, Format
from medkg_dagster.export.writing import ExportedFile, export_graph

__all__ = ["FORMATS", "ExportedFile", "Format", "export_graph"]
