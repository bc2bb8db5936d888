"""Exercises with their helpers, the student's files made of them, and the slides."""
