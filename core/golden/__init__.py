"""Golden prompts: suites that a person writes by hand, run on a quick and a full model, over one or several routes."""
