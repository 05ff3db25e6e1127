"""Dose-response of the gate: in how small a share of the answers does it still see each kind of planted harm?"""
