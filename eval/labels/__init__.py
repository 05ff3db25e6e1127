"""Labelled answers: contrast sets and claims, on which judges and detectors are measured."""
