"""Files and processes: errors, atomic outputs, paths, the download cache."""
