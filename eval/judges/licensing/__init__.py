"""Whether a judge may gate: its chance of a licence, its figures in a run, and when it must be measured again."""
