"""Contrast sets (Gardner et al. 2020): good answers with minimal edits that make them wrong or leave them right."""
