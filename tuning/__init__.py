"""Hyper-parameter search with Optuna, on seeds that no test uses."""
