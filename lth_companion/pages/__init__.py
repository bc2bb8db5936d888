"""Sentences and tables of the pages: words filled from verdicts, the ledger, the landing page, questions, status."""
