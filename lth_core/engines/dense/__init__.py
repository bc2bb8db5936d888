"""Networks of every kind, trained together by torch on any device: the engine, its cohorts, their forward pass."""
