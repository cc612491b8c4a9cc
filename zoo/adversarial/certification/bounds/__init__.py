"""Interval bounds and linear bounds for networks on balls of inputs."""
