"""A small service: templates, JSON, something to compute, and an end that is noticed."""

import atexit
import os
import time

from flask import Flask, jsonify, render_template_string, request

app = Flask(__name__)


@app.get("/")
def greet():
    return render_template_string("<p>Hello, {{ name }}!</p>\n", name=request.args.get("name", "world"))


@app.get("/fib/<int:n>")
def fibonacci(n):
    if n > 10_000:
        return jsonify(problem="that is too much"), 400
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return jsonify(n=n, value=str(a))


@app.post("/echo")
def echo():
    return jsonify(request.get_json())


@app.get("/worker")
def worker():
    return jsonify(pid=os.getpid())


@app.get("/slow")
def slow():
    time.sleep(2)
    return "slept\n"


atexit.register(print, "service: goodbye", flush=True)
