"""The HTML pages other than search: request in, template out."""
