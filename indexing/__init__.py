"""The write side: files become documents, documents become words and embeddings."""
