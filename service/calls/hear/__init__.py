"""Turns recordings and ready transcripts into turns of speakers."""
