"""Graph stores: nodes and edges."""
