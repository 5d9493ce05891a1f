"""The write side: files become documents, and documents become index terms and embeddings."""
