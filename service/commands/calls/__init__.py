"""``calls``: score recorded calls, follow them, rate them, and validate the installation that does so."""
