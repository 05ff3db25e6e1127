"""Ways to spoil one good summary: each function plants one fault and leaves the rest of the text alone.

All take the answer, its case and a source of randomness, and return the spoilt answer; where there is nothing to spoil (no
amount, no date) they return the answer as it was. Drawing from the same source gives the same answer. Nobody who works on a
detector tunes it on these texts.
"""
