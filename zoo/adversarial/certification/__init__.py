"""Certificates: proofs that no perturbation in a ball changes a prediction."""
