"""The site and its archive, made of everything else."""
