"""Parts of `ResumeTraining`: files, states, positions, settings and signals."""
