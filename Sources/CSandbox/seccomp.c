// seccomp.c: which system calls a process may make.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csandbox.h"

int cs_has_seccomp(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0; }

// clang-format off
// What Swift, Foundation, OpenBLAS, libnifti, DCMTK and the C libraries below them need to compute and to use files.
static const int harmless[] = {
    // Files: which ones is Landlock's to say. Nothing here changes a file by its name or its facts: Landlock knows no
    // right for those, and before version 3 none for cutting files short. No locks either: they hold up other processes.
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(pwrite64),
    SCMP_SYS(writev), SCMP_SYS(pwritev), SCMP_SYS(close), SCMP_SYS(lseek),
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(copy_file_range), SCMP_SYS(sendfile), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    // Memory; executable memory is refused below.
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(membarrier), SCMP_SYS(mincore),
    SCMP_SYS(get_mempolicy),
    // Threads.
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(gettid), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(set_tid_address),
    // Its own signals.
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    // Time, chance and its own facts.
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getcpu),
};
// clang-format on

// open and openat: what else of a file they could change. `flags` and `mode` are the places of these arguments.
static int allow_open(scmp_filter_ctx filter, int call, unsigned flags, unsigned mode) {
    // A new file with set-uid or set-gid bits would be a program that runs as the server's user.
    const struct scmp_arg_cmp plain = SCMP_CMP(mode, SCMP_CMP_MASKED_EQ, S_ISUID | S_ISGID | S_ISVTX, 0);
    // O_RDONLY | O_TRUNC empties a file that may only be read: before version 3 Landlock lets it.
    const scmp_datum_t emptied = O_TRUNC | O_ACCMODE;
    int failed =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 2, plain, SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, O_TRUNC, 0));
    failed |= seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, call, 2, plain, SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, emptied, O_TRUNC | O_WRONLY)
    );
    failed |= seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, call, 2, plain, SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, emptied, O_TRUNC | O_RDWR)
    );
    return failed;
}

// fcntl: descriptors of its own. Owners and signals of descriptors reach other processes, locks and leases hold them
// up.
static int allow_fcntl(scmp_filter_ctx filter) {
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL};
    int failed = 0;
    for (size_t index = 0; index < sizeof commands / sizeof *commands; index++) {
        failed |= seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[index])
        );
    }
    return failed
        | seccomp_rule_add(
               filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL),
               SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0)
        );
}

static int add_conditional(scmp_filter_ctx filter) {
    const scmp_datum_t no_code = 0;
    int failed =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, no_code));
    failed |= seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, no_code)
    );
    // Threads exactly as glibc's pthread_create makes them: no processes, no namespaces. clone3 hides its flags behind
    // a pointer; without it glibc takes clone.
    const scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD
        | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_EQ, thread));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    // abort() and a trap signal themselves; nobody else is signalled.
    failed |=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    // Limits may be asked for, not set.
    failed |= seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)
    );
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    failed |= allow_open(filter, SCMP_SYS(open), 1, 2);
    failed |= allow_open(filter, SCMP_SYS(openat), 2, 3);
    return failed | allow_fcntl(filter);
}

int cs_confine_calls(void) {
    if (!cs_has_seccomp()) return 0;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) return -1;
    int failed = 0;
    for (size_t index = 0; index < sizeof harmless / sizeof *harmless; index++) {
        failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, harmless[index], 0);
    }
    failed = failed || add_conditional(filter) || seccomp_load(filter);
    seccomp_release(filter);
    return failed ? -1 : 0;
}
