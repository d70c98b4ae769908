"""`python -m softchat`."""

from softchat.cli import main

if __name__ == "__main__":
    main()
