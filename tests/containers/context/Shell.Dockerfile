# RUN and CMD in shell form: pipelines, loops, conditions, and Python among the tools.
FROM vkernel/python:3.12
WORKDIR /srv
RUN mkdir -p data && for i in 3 1 2; do echo "line $i"; done | sort > data/lines
RUN test "$(wc -l < data/lines)" = 3 || exit 1
RUN python3 -c 'print("from python")' | tr a-z A-Z > data/said \
    && sed -i 's/PYTHON/Python/' data/said
RUN if python3 -c 'raise SystemExit(7)'; then exit 1; else test $? = 7; fi
RUN find data -type f | sort | xargs cat | awk '{ n += NF } END { print n }' > words
CMD cat data/lines data/said words && pwd
