"""Facts about a training run, and how well it went compared with what is possible."""
