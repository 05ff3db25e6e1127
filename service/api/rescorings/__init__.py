"""Scoring stored calls again over HTTP: estimates and orders, which a worker carries out."""
