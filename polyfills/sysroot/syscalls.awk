# Makes the C side of the system calls from syscalls.txt, for a POSIX awk:
#
#   awk -v what=numbers  ...  bits/syscall.h.in   __NR_ numbers
#   awk -v what=calls    ...  bits/syscall_call.h  one import a call, and a dispatch that the
#                                                  compiler folds where the number is constant
#   awk -v what=variadic ...  misc/wasm32/syscall.c  syscall(), for callers that push natural types
#
# A line that is not understood ends it with status 1.

BEGIN {
	type["int"] = "int"; type["unsigned"] = type["pointer"] = type["size"] = "unsigned"
	type["long"] = type["offset"] = "long long"
	# What a caller of the variadic function passes.
	for (word in type) natural[word] = type[word]
	natural["long"] = "long"
	if (what == "calls") {
		print "/* Made from syscalls.txt by syscalls.awk. */"
		print "#ifndef _BITS_SYSCALL_CALL_H"
		print "#define _BITS_SYSCALL_CALL_H"
		print ""
		print "#define __WALI(name) __attribute__((__import_module__(\"wali\"), __import_name__(\"SYS_\" #name))) long long __wali_##name"
	}
}

/^#/ || NF == 0 { next }

function fail() {
	print FILENAME ":" FNR ": want a name, a number and up to six of int, unsigned, pointer, size, long, offset" > "/dev/stderr"
	failed = 1
	exit 1
}

NF < 2 || NF > 8 || $2 !~ /^[0-9]+$/ { fail() }

{
	count++
	name[count] = $1; number[count] = $2; params[count] = NF - 2
	for (i = 3; i <= NF; i++) {
		if (!($i in type)) fail()
		kind[count, i - 2] = type[$i]
		passed[count, i - 2] = natural[$i]
	}
	if (what == "numbers") printf "#define __NR_%s\t%s\n", $1, $2
	if (what == "calls") {
		list = ""
		for (i = 1; i <= params[count]; i++)
			list = list (i > 1 ? ", " : "") kind[count, i]
		printf "__WALI(%s)(%s);\n", $1, list == "" ? "void" : list
	}
}

function dispatch(   n, i, list) {
	for (n = 1; n <= count; n++) {
		list = ""
		for (i = 1; i <= params[n]; i++)
			list = list (i > 1 ? ", " : "") "(" kind[n, i] ")" substr("abcdef", i, 1)
		printf "\tcase %s: return __wali_%s(%s);\n", number[n], name[n], list
	}
}

function variadic(   n, i) {
	for (n = 1; n <= count; n++) {
		printf "\tcase %s:", number[n]
		for (i = 1; i <= params[n]; i++)
			printf " a[%d] = va_arg(ap, %s);", i - 1, passed[n, i]
		print " break;"
	}
}

END {
	if (failed) exit 1
	if (what == "calls") {
		print ""
		print "#undef __WALI"
		print ""
		print "/* Arguments widened to 64 bits; each call takes what its type says. */"
		print "static __inline __attribute__((__always_inline__, __unused__))"
		print "long long __wali_call(long n, long long a, long long b, long long c, long long d, long long e, long long f)"
		print "{"
		print "\tswitch (n) {"
		dispatch()
		print "\t}"
		print "\treturn -38; /* ENOSYS */"
		print "}"
		print ""
		print "#endif"
	}
	if (what == "variadic") {
		print "/* Made from syscalls.txt by syscalls.awk. The function behind syscall() for callers that do not"
		print " * see the macro of <unistd.h> (other languages, function pointers): arguments are taken as the"
		print " * types that the call has. */"
		print "#define _GNU_SOURCE"
		print "#include <stdarg.h>"
		print "#include <unistd.h>"
		print "#include \"syscall.h\""
		print ""
		print "#undef syscall"
		print ""
		print "long syscall(long n, ...)"
		print "{"
		print "\tlong long a[6] = { 0 };"
		print "\tva_list ap;"
		print "\tva_start(ap, n);"
		print "\tswitch (n) {"
		variadic()
		print "\t}"
		print "\tva_end(ap);"
		print "\treturn __syscall_ret(__program_call(n, a[0], a[1], a[2], a[3], a[4], a[5]));"
		print "}"
	}
}
