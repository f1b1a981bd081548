"""One file per encoder family behind one interface."""
