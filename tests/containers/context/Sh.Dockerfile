# RUN in shell form on top of an image that has a shell; a script without a `#!` line.
FROM example/shell:1.0.0
COPY no-line /opt/
RUN echo hi > /tmp/f
RUN /opt/no-line built > /tmp/made; if /opt/no-line; then exit 1; fi
CMD read -r line < /tmp/f && echo "$line"
