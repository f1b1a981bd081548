"""A page that takes speech from a file or the microphone: in front of the service, or as a folder for a file host."""
