"""The commands of `testbed`, by what they are about: runs, this machine, boards, databases.

Each reads its arguments and calls the module that does the work, which it imports only then.
"""
