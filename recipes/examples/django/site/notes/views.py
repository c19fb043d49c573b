from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template import Context, Engine

from .models import Note

PAGE = Engine().from_string(
    "<!doctype html><title>Notes</title><ul>{% for note in notes %}<li>{{ note.text }}</li>{% endfor %}</ul>"
    '<form method="post"><input name="text"><button>Add</button></form>\n'
)


def notes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        text = request.POST.get("text", "").strip()
        if not text:
            return HttpResponse("a note has a text\n", status=400, content_type="text/plain")
        Note.objects.create(text=text)
        return redirect("/")
    return HttpResponse(PAGE.render(Context({"notes": Note.objects.order_by("id")})))
