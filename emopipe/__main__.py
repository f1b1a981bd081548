"""``python -m emopipe``, where the command ``emopipe`` is not on the path."""

from emopipe.commands.main import main

if __name__ == "__main__":
    main()
