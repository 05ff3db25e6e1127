"""Converts recordings and existing transcripts into speaker turns."""
