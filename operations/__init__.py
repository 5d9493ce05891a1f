"""What an operator sees: memory, health, figures."""
