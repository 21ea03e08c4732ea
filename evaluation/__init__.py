"""How well documents are read, and what is found in them, measured on real files and gold corpora."""
