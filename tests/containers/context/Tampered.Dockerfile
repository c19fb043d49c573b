FROM vkernel/python:3.12
COPY --chown=0:0 tampered-stub /usr/local/bin/python3
