"""What pages and API share about HTTP."""
