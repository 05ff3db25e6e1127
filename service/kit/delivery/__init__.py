"""Things that must arrive: inbox, outbox, retry plan, breaker, lease, dead letters."""
