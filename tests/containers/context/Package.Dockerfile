# A package and its commands on top of the image, compiled ahead, run by a user without rights.
FROM vkernel/python:3.12
COPY greet /usr/local/lib/python3.12/site-packages/greet/
COPY greet-env greet-option greet-split greet-nested /usr/local/bin/
RUN ["python3", "-m", "compileall", "-q", "/usr/local/lib/python3.12/site-packages"]
WORKDIR /srv
USER 1000
ENV PYTHONDONTWRITEBYTECODE=1
HEALTHCHECK --interval=1s --timeout=10s CMD ["python3", "-c", "import os, sys; sys.exit(not os.path.exists('/tmp/up'))"]
ENTRYPOINT ["greet-env"]
CMD ["you all", "me"]
