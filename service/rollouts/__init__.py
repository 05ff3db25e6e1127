"""Running rollouts: chooses the pair of each request, counts both sides, stops bad candidates, runs shadow answers."""
