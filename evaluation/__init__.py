"""How well documents are read, measured on real files and on made ones: `make eval-parse`."""
