"""The frame of a program: errors, clocks, files, and when something is tried again."""
