"""Looks up each fact and promise of a reply in what the tools of the turn returned."""
