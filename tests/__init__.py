"""Claims about Matmon, each tried on the real thing."""
