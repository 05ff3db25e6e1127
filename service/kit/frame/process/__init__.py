"""The process itself: child processes, and when garbage is collected."""
