"""The stages from data to answers as one pipeline, run here or by Step Functions from the same declaration."""
