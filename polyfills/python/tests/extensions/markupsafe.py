import markupsafe, markupsafe._speedups as s
print(s.__name__, markupsafe.escape("<a href='x'>&\"é\U0001f600"))
print(markupsafe.Markup("<b>%s</b>") % "<i>", repr(markupsafe.escape(markupsafe.Markup("<x>"))), markupsafe.escape(3))
print(s._escape_inner("a" * 1000 + "<" * 100)[-410:-390])
