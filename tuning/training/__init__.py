"""Builds, trains and saves the models of trials, optionally once per fold."""
