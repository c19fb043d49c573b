FROM vkernel/python:3.12
RUN echo there is no shell
