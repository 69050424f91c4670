"""Systems that no learner can be right about, and limits that do not commute: demonstrations to run and look at."""
