"""Koopman learning with certificates (Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312)."""
