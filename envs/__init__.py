"""Extremely noisy environments (ENE): Gymnasium wrappers that bury a task's observation in noise features."""
