"""Reports: text, pictures and an HTML page."""
