"""A stand-in for servers that speak OpenAI's or Anthropic's wire format, for tests and rehearsals; needs no `omni`."""
