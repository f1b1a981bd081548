"""The report: one page that shows what was done and what came out."""
