"""What was said in conversations, in which order, who answers next, and where it is kept."""
