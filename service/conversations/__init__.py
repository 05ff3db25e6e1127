"""The service's memory of conversations: what was said, in which order, who answers next, and where it is kept."""
