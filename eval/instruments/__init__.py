"""Measuring instruments beside the loop: benchmarks, public benchmarks, sweeps, training, simulated traffic."""
