FROM vkernel/python:3.12
COPY unrouted-stub /usr/bin/unrouted
