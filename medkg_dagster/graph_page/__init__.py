"""A node's neighbourhood as one page that needs nothing else: no network, no other file."""

from medkg_dagster.graph_page.page import neighbourhood_page

__all__ = ["neighbourhood_page"]
