"""The JSON API, described at /api/openapi.json."""
