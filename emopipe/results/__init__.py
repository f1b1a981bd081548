"""What a run of the pipeline left, as figures, report and model card show it."""
