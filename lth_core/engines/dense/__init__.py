"""Networks of every kind, trained together by torch on any device: the engine, the state of a cohort, its way through the layers."""
