"""`python -m bench`: every benchmark, one after the other."""

from bench import console, mirror

if __name__ == "__main__":
    mirror.main()
    console.main()
