"""Ways in beside the service's own page: Amazon Lex, contact flows, and the phone."""
