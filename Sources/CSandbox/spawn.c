// spawn.c: starts a child.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "csandbox.h"

static int start(
    pid_t *child, const char *path, char *const arguments[], char *const environment[], int input, int turns, int output
) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) return -1;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -1;
    }
    // A server ignores SIGPIPE and may block others; the child starts as from a terminal.
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int failed = posix_spawn_file_actions_adddup2(&actions, input, 0);
    failed |= posix_spawn_file_actions_adddup2(&actions, output, 1);
    // Whatever a library says of a patient's file goes nowhere.
    failed |= posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (turns >= 0) failed |= posix_spawn_file_actions_adddup2(&actions, turns, cs_turns);
    failed |= posix_spawn_file_actions_addclosefrom_np(&actions, turns >= 0 ? cs_turns + 1 : 3);
    failed |= posix_spawnattr_setsigdefault(&attributes, &all);
    failed |= posix_spawnattr_setsigmask(&attributes, &none);
    failed |= posix_spawnattr_setpgroup(&attributes, 0);
    failed |=
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (!failed) failed = posix_spawn(child, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

pid_t cs_spawn(
    const char *path, char *const arguments[], char *const environment[], int input, int turns, int *output
) {
    int ends[2];
    pid_t child = -1;
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    const int failed = start(&child, path, arguments, environment, input, turns, ends[1]);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return -1;
    }
    *output = ends[0];
    return child;
}

int cs_bytes(const void *bytes, size_t count) {
    const int memory = memfd_create("input", MFD_CLOEXEC);
    if (memory < 0) return -1;
    for (size_t done = 0; done < count;) {
        const ssize_t more = write(memory, (const char *)bytes + done, count - done);
        if (more <= 0) {
            close(memory);
            return -1;
        }
        done += (size_t)more;
    }
    if (lseek(memory, 0, SEEK_SET) != 0) {
        close(memory);
        return -1;
    }
    return memory;
}

int cs_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends); }

int cs_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }
