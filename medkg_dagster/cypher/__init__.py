"""The knowledge graph in Cypher: a copy of it in an embedded database, with the extra `ladybug`."""

from medkg_dagster.cypher.asking import CypherAnswer, ask_cypher

__all__ = ["CypherAnswer", "ask_cypher"]
