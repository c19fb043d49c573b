# A first stage makes something that the second takes.
FROM vkernel/python:3.12 AS build
COPY greet /src/greet/
COPY greet/__main__.py /src/
RUN ["python3", "-m", "zipapp", "/src", "-o", "/greet.pyz"]
FROM vkernel/python:3.12
COPY --from=build /greet.pyz /srv/greet.pyz
CMD ["python3", "/srv/greet.pyz", "stage"]
