"""What Amazon Connect's flows ask of us: a caller's place in the queue, and the messages that callers leave."""
