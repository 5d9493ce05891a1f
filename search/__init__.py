"""The read side: a query becomes results."""
