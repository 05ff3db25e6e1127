"""Everything that calls models: the gateway, time budgets, retries, hedging, circuit breakers, streaming and prices."""
