# Makes from layouts.txt a program in C (-v what=c) or in Rust (-v what=rust) that prints size and alignment of
# each type, and offset and size of each member.

BEGIN {
	if (what == "c") {
		split("aio.h dirent.h fcntl.h glob.h grp.h ifaddrs.h limits.h link.h locale.h mqueue.h net/if.h netdb.h netinet/in.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h signal.h spawn.h stddef.h stdio.h sys/epoll.h sys/inotify.h sys/msg.h sys/resource.h sys/select.h sys/sem.h sys/shm.h sys/signalfd.h sys/socket.h sys/stat.h sys/statfs.h sys/statvfs.h sys/sysinfo.h sys/time.h sys/times.h sys/timex.h sys/uio.h sys/un.h sys/utsname.h termios.h time.h utime.h wchar.h", headers, " ")
		print "#define _GNU_SOURCE"
		for (i = 1; i in headers; i++) print "#include <" headers[i] ">"
		print "#include <sys/ioctl.h>"
		print "int main(void) {"
	} else {
		print "#![allow(deprecated)]"
		print "fn size<T>(_: *const T) -> usize { size_of::<T>() }"
		print "fn main() {"
	}
}

/^#/ || NF == 0 { next }

{
	type = $2
	sub(/-/, " ", type)
	if (what == "c") printf "\tprintf(\"%s %%zu %%zu", $1
	else printf "    println!(\"%s {} {}", $1
	for (i = 3; i <= NF; i++) {
		split($i, pair, "=")
		printf(what == "c" ? " %s:%%zu:%%zu" : " %s:{}:{}", pair[1])
	}
	if (what == "c") printf "\\n\", sizeof(%s), _Alignof(%s)", type, type
	else printf "\", size_of::<libc::%s>(), align_of::<libc::%s>()", $1, $1
	for (i = 3; i <= NF; i++) {
		n = split($i, pair, "=")
		if (what == "c") printf ", offsetof(%s, %s), sizeof(((%s *)0)->%s)", type, pair[n], type, pair[n]
		else printf ", std::mem::offset_of!(libc::%s, %s), size(unsafe { std::ptr::addr_of!((*(std::mem::align_of::<libc::%s>() as *const libc::%s)).%s) })", $1, pair[1], $1, $1, pair[1]
	}
	print ");"
}

END { print "}" }
