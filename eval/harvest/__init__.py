"""Turns bad answers in production into regression cases for the gate: propose, review by a person, accept."""
