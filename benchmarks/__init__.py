"""What README and docs quote is measured here: `make bench` runs all of it and writes docs/BENCHMARKS.md."""
