// landlock.c: which files a process may use. docs.kernel.org/userspace-api/landlock.html
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "csandbox.h"

// Debian 12's headers know version 2 of the interface; these are the kernel's own numbers, which do not change.
enum {
    landlock_create_ruleset = 444,
    landlock_add_rule = 445,
    landlock_restrict_self = 446,
    create_ruleset_version = 1,
    rule_path_beneath = 1,
};

struct ruleset {
    uint64_t files, network, scopes;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static const uint64_t execute = 1 << 0, write_file = 1 << 1, read_file = 1 << 2, read_folder = 1 << 3,
                      remove_folder = 1 << 4, remove_file = 1 << 5, make_folder = 1 << 7, make_file = 1 << 8,
                      refer = 1 << 13, truncate_file = 1 << 14;

int cs_landlock_version(void) {
    const long version = syscall(landlock_create_ruleset, NULL, 0, create_ruleset_version);
    return version > 0 ? (int)version : 0;
}

static uint64_t known_rights(int version) {
    // Bits 0 to 12 came with version 1; `refer` with 2, `truncate_file` with 3, `ioctl` on devices with 5.
    uint64_t rights = (1 << 13) - 1;
    if (version >= 2) rights |= refer;
    if (version >= 3) rights |= truncate_file;
    if (version >= 5) rights |= 1 << 15;
    return rights;
}

static int allow(int ruleset, const char *const paths[], uint64_t rights) {
    for (; *paths; paths++) {
        const int parent = open(*paths, O_PATH | O_CLOEXEC);
        if (parent < 0 && (errno == ENOENT || errno == ENOTDIR)) continue;
        if (parent < 0) return -1;
        struct stat facts;
        int failed = fstat(parent, &facts);
        struct path_beneath rule = {.allowed = rights, .parent = parent};
        // The rights of a folder are no rights of a file.
        if (!failed && !S_ISDIR(facts.st_mode)) rule.allowed &= execute | write_file | read_file | truncate_file;
        failed = failed || syscall(landlock_add_rule, ruleset, rule_path_beneath, &rule, 0) != 0;
        close(parent);
        if (failed) return -1;
    }
    return 0;
}

int cs_confine_files(const char *const readable[], const char *const writable[]) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    const int version = cs_landlock_version();
    if (version == 0) return 0;
    const uint64_t known = known_rights(version);
    // TCP's bind and connect came with version 4, abstract sockets and signals with 6.
    struct ruleset all = {.files = known, .network = version >= 4 ? 3 : 0, .scopes = version >= 6 ? 3 : 0};
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    const int ruleset = (int)syscall(landlock_create_ruleset, &all, size, 0);
    if (ruleset < 0) return -1;
    const uint64_t reading = read_file | read_folder;
    const uint64_t writing =
        reading | write_file | remove_file | remove_folder | make_file | make_folder | refer | truncate_file;
    const int failed = allow(ruleset, readable, reading & known) || allow(ruleset, writable, writing & known)
        || syscall(landlock_restrict_self, ruleset, 0) != 0;
    close(ruleset);
    return failed ? -1 : 0;
}
