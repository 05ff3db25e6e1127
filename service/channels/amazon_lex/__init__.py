"""Amazon Lex and Connect contact flows, turned into calls of the service's conversations."""
