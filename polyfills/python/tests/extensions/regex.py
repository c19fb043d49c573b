import regex
print(regex.findall(r"\p{Lu}\p{Ll}+", "Hallo Ärger xY Straße"), regex.sub(r"(?<n>\w)(?&n)", "-", "abcd"))
print(regex.match(r"(?:(\w)\s?)+", "a b c").captures(1), regex.fullmatch(r"(?:cats|cat){e<=1}", "cazs"), regex.split(r"(?V1)(?=b)", "abab"))
try: regex.compile("(")
except regex.error as e: print(e)
print(regex.search(r"(a+)+$", "a" * 25 + "b"))
