"""What search and indexing share: the full-text index and the embedding indexes."""
