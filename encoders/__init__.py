"""Texts to unit-length float32 embeddings: prepared ONNX models, their tokenizers, and when they are in memory."""
