"""What a bank can show of a conversation afterwards: events of each turn and what the guard found, without personal data."""
