import sys

print(f"Python {sys.version.split()[0]} says hello")
