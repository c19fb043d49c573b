/* about: What asks the kernel to write files back or to read them ahead: sync and its kin. */
/* calls: fadvise64 fdatasync fsync readahead sync sync_file_range syncfs */
#include "../check.h"
int main(void)
{
    char text[8192];
    int q[2];
    memset(text, 't', sizeof text);
    int f = open("f", O_CREAT | O_RDWR, 0600), p = open("f", O_PATH);
    pipe(q);
    TRY(write(f, text, sizeof text));
    TRY(syscall(SYS_fsync, f));
    TRY(syscall(SYS_fsync, q[0]));
    TRY(syscall(SYS_fdatasync, f));
    TRY(syscall(SYS_fdatasync, p));
    TRY(syscall(SYS_syncfs, f));
    TRY(syscall(SYS_syncfs, -1));
    TRY(syscall(SYS_sync_file_range, f, 0L, 4096L, 7));
    TRY(syscall(SYS_sync_file_range, f, 0L, 0L, 2));
    TRY(syscall(SYS_sync_file_range, f, -1L, 4096L, 2));
    TRY(syscall(SYS_sync_file_range, f, 0L, 1L, 99));
    TRY(syscall(SYS_sync_file_range, q[0], 0L, 1L, 2));
    TRY(syscall(SYS_readahead, f, 0L, 8192L));
    TRY(syscall(SYS_readahead, q[0], 0L, 8192L));
    TRY(syscall(SYS_readahead, -1, 0L, 8192L));
    TRY(syscall(SYS_fadvise64, f, 0L, 0L, POSIX_FADV_SEQUENTIAL));
    TRY(syscall(SYS_fadvise64, f, 0L, 0L, 99));
    TRY(syscall(SYS_fadvise64, q[0], 0L, 0L, POSIX_FADV_NORMAL));
    TRY(syscall(SYS_sync));
    return 0;
}
