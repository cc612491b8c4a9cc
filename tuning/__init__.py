"""Search spaces and searches on KerasTuner."""
