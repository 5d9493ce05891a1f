"""Background work: one runner for imports, embedding and screenings."""
