"""The papers, and the book made of them: experiments, claims, figures, sliders, pages, lessons. Imports `lth_core`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of a checkout: notebooks/, book/ and results/ lie there
