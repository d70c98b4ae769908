"""`python -m softchat.worker`: started by `process`, of no use to people."""

from softchat.worker.serve import main

if __name__ == "__main__":
    main()
