# A native program, and scripts that want it as their interpreter.
FROM vkernel/python:3.12
COPY native by-native by-nested /opt/
