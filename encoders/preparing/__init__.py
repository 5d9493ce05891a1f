"""Making model folders: run away from the small host, never imported by the site."""
