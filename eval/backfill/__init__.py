"""History in bulk: summarised by a pair, or looked over by the guard, in chunks that a kill does not undo."""
