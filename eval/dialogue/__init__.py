"""Cases that are conversations: a scripted customer, a world of records behind the tools, and what must come of it."""
