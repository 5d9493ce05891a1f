"""Build-time tools that make model folders; the site never imports them."""
