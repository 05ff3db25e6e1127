"""What other systems show of this service: the summary widget, the page for Amazon Connect, and tokens for agents' browsers."""
