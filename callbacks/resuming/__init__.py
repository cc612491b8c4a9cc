"""The parts of `ResumeTraining`: files, states, positions and settings."""
