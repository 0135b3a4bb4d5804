// powerloss.c: imitates a loss of power for the process that preloads it.
//
//   POWERLOSS_FOLDER  files below it are watched; POWERLOSS_GRAVE, on the same file system, keeps what may come back
//   POWERLOSS_AT      the power fails before the n-th call that changes or syncs something there; 0 is never
//   POWERLOSS_KEEP    percent of what was not synced that survives all the same, each block and each name by lot
//   POWERLOSS_SEED    for the lot
//   POWERLOSS_LIES    1: syncs make nothing durable, as a test of the test
//
// What is remembered, until an fsync or fdatasync makes it durable:
//
//   of each file     the durable length, and of each 4096-byte block written since the last sync what it held then
//   of each folder   of each name made, replaced or removed since the folder's last fsync what it stood for then
//
// When the power fails, a fork puts back what was not synced, after the process itself has been killed with all its
// threads; it then makes the file "done" in the grave. So a file that was written and renamed but not synced may come
// back empty, torn block by block, under its old name, or not at all; and a synced file is lost with its name where its
// folder was not synced: stricter than ext4 or XFS, whose journals keep order.
//
// Not imitated: disks that lie about a flush or tear inside a block; metadata such as modes; writes through mmap
// (SQLite's -shm file, which it makes anew after a crash, is left alone); files that child processes write; folders
// that are renamed.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 4096
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

typedef struct block {
    off_t index;
    int length;
    char bytes[BLOCK];
    struct block *next;
} block_t;
typedef struct file {
    dev_t device;
    ino_t inode;
    int fd;
    off_t length;
    block_t *blocks;
    struct file *next;
} file_t;
// What a name stood for: 0 nothing, 1 a file that the grave keeps under `number`, 2 a folder.
typedef struct name {
    char path[PATH_MAX];
    int kind;
    long number;
    mode_t mode;
    struct name *next;
} name_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], grave[PATH_MAX];
static size_t root_length;
static long calls, fail_at, keep_percent, lies, next_number;
static file_t *files;
static name_t *changed_names;

__attribute__((constructor)) static void prepare(void) {
    const char *folder = getenv("POWERLOSS_FOLDER"), *kept = getenv("POWERLOSS_GRAVE");
    if (!folder || !kept || !realpath(folder, root) || !realpath(kept, grave)) {
        root[0] = 0;
        return;
    }
    root_length = strlen(root);
    fail_at = getenv("POWERLOSS_AT") ? atol(getenv("POWERLOSS_AT")) : 0;
    keep_percent = getenv("POWERLOSS_KEEP") ? atol(getenv("POWERLOSS_KEEP")) : 0;
    lies = getenv("POWERLOSS_LIES") ? atol(getenv("POWERLOSS_LIES")) : 0;
    srandom(getenv("POWERLOSS_SEED") ? atol(getenv("POWERLOSS_SEED")) : 1);
    unsetenv("LD_PRELOAD");  // children are not watched
}

static int survives(void) { return random() % 100 < keep_percent; }

static void grave_path(char *out, long number) { snprintf(out, PATH_MAX, "%.4000s/%ld", grave, number); }

// The absolute path of a name, with its folder resolved; 0 if it is not watched.
static int watched(int folder, const char *path, char *out) {
    char joined[PATH_MAX], parent[PATH_MAX], real[PATH_MAX];
    if (!root[0] || !path || !*path) return 0;
    if (*path == '/' || folder == AT_FDCWD)
        snprintf(joined, PATH_MAX, "%s", path);
    else
        snprintf(joined, PATH_MAX, "/proc/self/fd/%d/%.4000s", folder, path);
    size_t end = strlen(joined);
    while (end > 1 && joined[end - 1] == '/') joined[--end] = 0;
    char *slash = strrchr(joined, '/');
    const char *last = slash ? slash + 1 : joined;
    snprintf(parent, PATH_MAX, "%.*s", slash ? (int)(slash - joined) + 1 : 1, slash ? joined : ".");
    if (!realpath(parent, real)) return 0;
    if (strncmp(real, root, root_length) || (real[root_length] && real[root_length] != '/')) return 0;
    size_t length = strlen(last);
    if (length > 4 && !strcmp(last + length - 4, "-shm")) return 0;
    return snprintf(out, PATH_MAX, "%.3000s/%.1000s", real, last) > 0;
}

// Whether a descriptor is of a watched regular file.
static int watched_fd(int fd, struct stat *status) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    if (!root[0] || fstat(fd, status) || !S_ISREG(status->st_mode)) {
        errno = saved;
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, root, root_length) || path[root_length] != '/') return 0;
    return !(length > 4 && !strcmp(path + length - 4, "-shm"));
}

// MARK: - The loss

static void remove_tree(const char *path) {
    if (!NEXT(unlink)(path) || errno == ENOENT) return;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char inner[PATH_MAX];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(inner, PATH_MAX, "%.3000s/%s", path, entry->d_name);
        remove_tree(inner);
    }
    if (folder) closedir(folder);
    NEXT(rmdir)(path);
}

static void restore(void) {
    for (file_t *file = files; file; file = file->next) {
        struct stat status;
        if (fstat(file->fd, &status)) continue;
        off_t end = file->length > status.st_size || survives() ? status.st_size : file->length;
        if (file->length > end && !survives()) end = file->length;  // a truncation that did not happen
        if (NEXT(ftruncate)(file->fd, end)) continue;
        for (block_t *block = file->blocks; block; block = block->next) {
            off_t start = block->index * BLOCK;
            if (survives() || start >= end) continue;
            char bytes[BLOCK] = {0};
            memcpy(bytes, block->bytes, block->length);
            int count = end - start < BLOCK ? (int)(end - start) : BLOCK;
            if (NEXT(pwrite)(file->fd, bytes, count, start) != count) perror("powerloss");
        }
    }
    // Folders first, so that files can come back into them; the list is newest first, so parents are made by retrying.
    for (int round = 0; round < 8; round++)
        for (name_t *name = changed_names; name; name = name->next)
            if (name->kind == 2) NEXT(mkdir)(name->path, name->mode);
    for (name_t *name = changed_names; name; name = name->next) {
        char kept[PATH_MAX];
        if (name->kind == 2 || survives()) continue;
        remove_tree(name->path);
        if (name->kind == 0) continue;
        grave_path(kept, name->number);
        NEXT(rename)(kept, name->path);
    }
    char done[PATH_MAX];
    snprintf(done, PATH_MAX, "%.4000s/done", grave);
    NEXT(close)(NEXT(creat)(done, 0600));
}

// Counts a call; the power fails if it is the one. The lock is held.
static void count_call(void) {
    if (++calls != fail_at) return;
    pid_t process = getpid();
    if (fork() == 0) {
        while (!kill(process, 0) && getppid() == process) {
            kill(process, SIGKILL);
            usleep(1000);
        }
        restore();
        _exit(0);
    }
    while (1) pause();
}

// MARK: - What is remembered

static file_t *find_file(const struct stat *status) {
    file_t *file = files;
    while (file && (file->device != status->st_dev || file->inode != status->st_ino)) file = file->next;
    return file;
}

// Remembers what a file held between two offsets, before it is changed.
static void before_change(int fd, const struct stat *status, off_t from, off_t to) {
    file_t *file = find_file(status);
    if (!file) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int own = NEXT(open)(link, O_RDWR | O_CLOEXEC);
        if (own < 0) return;
        file = calloc(1, sizeof *file);
        *file = (file_t){status->st_dev, status->st_ino, own, status->st_size, NULL, files};
        files = file;
    }
    for (off_t index = from / BLOCK; index * BLOCK < to; index++) {
        block_t *block = file->blocks;
        while (block && block->index != index) block = block->next;
        if (block) continue;
        block = calloc(1, sizeof *block);
        block->index = index;
        if (index * BLOCK < file->length) {
            ssize_t count = pread(file->fd, block->bytes, BLOCK, index * BLOCK);
            block->length = count > 0 ? (int)count : 0;
        }
        block->next = file->blocks;
        file->blocks = block;
    }
}

static void forget_file(const struct stat *status) {
    for (file_t **place = &files; *place; place = &(*place)->next) {
        file_t *file = *place;
        if (file->device != status->st_dev || file->inode != status->st_ino) continue;
        *place = file->next;
        for (block_t *block = file->blocks; block;) {
            block_t *next = block->next;
            free(block);
            block = next;
        }
        NEXT(close)(file->fd);
        free(file);
        return;
    }
}

// Remembers what a name stands for, before it is changed.
static void before_rename(const char *path) {
    for (name_t *name = changed_names; name; name = name->next)
        if (!strcmp(name->path, path)) return;
    struct stat status;
    int saved = errno;
    name_t *name = calloc(1, sizeof *name);
    snprintf(name->path, PATH_MAX, "%s", path);
    if (!lstat(path, &status)) {
        name->kind = S_ISDIR(status.st_mode) ? 2 : 1;
        name->mode = status.st_mode & 07777;
        if (name->kind == 1) {
            char kept[PATH_MAX];
            grave_path(kept, name->number = ++next_number);
            NEXT(link)(path, kept);
        }
    }
    name->next = changed_names;
    changed_names = name;
    errno = saved;
}

static void forget_names(const char *folder) {
    size_t length = strlen(folder);
    for (name_t **place = &changed_names; *place;) {
        name_t *name = *place;
        char *last = strrchr(name->path, '/');
        if ((size_t)(last - name->path) != length || strncmp(name->path, folder, length)) {
            place = &name->next;
            continue;
        }
        char kept[PATH_MAX];
        grave_path(kept, name->number);
        if (name->kind == 1) NEXT(unlink)(kept);
        *place = name->next;
        free(name);
    }
}

// MARK: - Calls

#define CHANGE_NAMES(condition_and_notes, call) \
    do {                                        \
        pthread_mutex_lock(&lock);              \
        condition_and_notes;                    \
        __typeof__(call) result_ = call;        \
        int error_ = errno;                     \
        pthread_mutex_unlock(&lock);            \
        errno = error_;                         \
        return result_;                         \
    } while (0)

static void note(int folder, const char *path) {
    char full[PATH_MAX];
    if (!watched(folder, path, full)) return;
    count_call();
    before_rename(full);
}

static void note_two(int from_folder, const char *from, int to_folder, const char *to) {
    char full[PATH_MAX];
    int counts = 0;
    if (from && watched(from_folder, from, full)) {
        if (!counts++) count_call();
        before_rename(full);
    }
    if (watched(to_folder, to, full)) {
        if (!counts++) count_call();
        before_rename(full);
    }
}

static void note_open(int folder, const char *path, int flags) {
    char full[PATH_MAX];
    struct stat status;
    if (!(flags & (O_CREAT | O_TRUNC)) || !watched(folder, path, full)) return;
    if (stat(full, &status)) {
        if (flags & O_CREAT) {
            count_call();
            before_rename(full);
        }
    } else if ((flags & O_TRUNC) && S_ISREG(status.st_mode) && status.st_size > 0) {
        count_call();
        int fd = NEXT(open)(full, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            before_change(fd, &status, 0, status.st_size);
            NEXT(close)(fd);
        }
    }
}

#define OPEN(name, folder_parameter, folder, real)                              \
    int name(folder_parameter const char *path, int flags, ...) {               \
        va_list list;                                                           \
        va_start(list, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                           \
        CHANGE_NAMES(note_open(folder, path, flags), real);                     \
    }
#define NOTHING
#define COMMA ,
OPEN(open, NOTHING, AT_FDCWD, NEXT(open)(path, flags, mode))
OPEN(open64, NOTHING, AT_FDCWD, NEXT(open64)(path, flags, mode))
OPEN(openat, int at COMMA, at, NEXT(openat)(at, path, flags, mode))
OPEN(openat64, int at COMMA, at, NEXT(openat64)(at, path, flags, mode))

// The name is new, but known only afterwards.
static int after_temporary(int fd, const char *path) {
    char full[PATH_MAX];
    int saved = errno;
    if (fd >= 0 && watched(AT_FDCWD, path, full)) {
        before_rename(full);
        if (changed_names && !strcmp(changed_names->path, full)) {
            char kept[PATH_MAX];
            grave_path(kept, changed_names->number);
            if (changed_names->kind == 1) NEXT(unlink)(kept);
            changed_names->kind = 0;
        }
    }
    errno = saved;
    return fd;
}

int mkstemp(char *path) { CHANGE_NAMES(, after_temporary(NEXT(mkstemp)(path), path)); }
int mkstemp64(char *path) { CHANGE_NAMES(, after_temporary(NEXT(mkstemp64)(path), path)); }
int mkostemp(char *path, int flags) { CHANGE_NAMES(, after_temporary(NEXT(mkostemp)(path, flags), path)); }
int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int mkdir(const char *path, mode_t mode) { CHANGE_NAMES(note(AT_FDCWD, path), NEXT(mkdir)(path, mode)); }
int rmdir(const char *path) { CHANGE_NAMES(note(AT_FDCWD, path), NEXT(rmdir)(path)); }
int unlink(const char *path) { CHANGE_NAMES(note(AT_FDCWD, path), NEXT(unlink)(path)); }
int remove(const char *path) { CHANGE_NAMES(note(AT_FDCWD, path), NEXT(remove)(path)); }
int unlinkat(int at, const char *path, int flags) { CHANGE_NAMES(note(at, path), NEXT(unlinkat)(at, path, flags)); }
int rename(const char *from, const char *to) {
    CHANGE_NAMES(note_two(AT_FDCWD, from, AT_FDCWD, to), NEXT(rename)(from, to));
}
int renameat(int a, const char *from, int b, const char *to) {
    CHANGE_NAMES(note_two(a, from, b, to), NEXT(renameat)(a, from, b, to));
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    CHANGE_NAMES(note_two(a, from, b, to), NEXT(renameat2)(a, from, b, to, flags));
}
int link(const char *from, const char *to) {
    CHANGE_NAMES(note_two(AT_FDCWD, NULL, AT_FDCWD, to), NEXT(link)(from, to));
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    CHANGE_NAMES(note_two(a, NULL, b, to), NEXT(linkat)(a, from, b, to, flags));
}

static void note_write(int fd, off_t at, size_t count) {
    struct stat status;
    if (count == 0 || !watched_fd(fd, &status)) return;
    count_call();
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? status.st_size : lseek(fd, 0, SEEK_CUR);
    before_change(fd, &status, at, at + (off_t)count);
}

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++) sum += parts[i].iov_len;
    return sum;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct stat status;
    if (!watched_fd(fd, &status))
        return NEXT(write)(fd, bytes, count);  // sockets and pipes may block: without the lock
    CHANGE_NAMES(note_write(fd, -1, count), NEXT(write)(fd, bytes, count));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat status;
    if (!watched_fd(fd, &status)) return NEXT(writev)(fd, parts, count);
    CHANGE_NAMES(note_write(fd, -1, total(parts, count)), NEXT(writev)(fd, parts, count));
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    CHANGE_NAMES(note_write(fd, at, count), NEXT(pwrite)(fd, bytes, count, at));
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    CHANGE_NAMES(note_write(fd, at, count), NEXT(pwrite64)(fd, bytes, count, at));
}

static void note_length(int fd, off_t length) {
    struct stat status;
    if (!watched_fd(fd, &status)) return;
    count_call();
    before_change(fd, &status, length < status.st_size ? length : status.st_size, status.st_size);
}

int ftruncate(int fd, off_t length) { CHANGE_NAMES(note_length(fd, length), NEXT(ftruncate)(fd, length)); }
int ftruncate64(int fd, off_t length) { CHANGE_NAMES(note_length(fd, length), NEXT(ftruncate64)(fd, length)); }
int fallocate(int fd, int mode, off_t at, off_t length) {
    CHANGE_NAMES(note_length(fd, at + length), NEXT(fallocate)(fd, mode, at, length));
}
int posix_fallocate(int fd, off_t at, off_t length) {
    CHANGE_NAMES(note_length(fd, at + length), NEXT(posix_fallocate)(fd, at, length));
}

// Before it returns, what was written is durable; the power may fail before it.
static void note_sync(int fd) {
    struct stat status;
    char link[64], path[PATH_MAX];
    if (!root[0] || fstat(fd, &status)) return;
    if (S_ISREG(status.st_mode)) {
        if (!watched_fd(fd, &status)) return;
        count_call();
        if (!lies) forget_file(&status);
    } else if (S_ISDIR(status.st_mode)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length <= 0) return;
        path[length] = 0;
        if (strncmp(path, root, root_length)) return;
        count_call();
        if (!lies) forget_names(path);
    }
}

// The real sync is left out: no real power fails, and the disk is spared.
int fsync(int fd) { CHANGE_NAMES(note_sync(fd), fcntl(fd, F_GETFD) < 0 ? -1 : 0); }
int fdatasync(int fd) { CHANGE_NAMES(note_sync(fd), fcntl(fd, F_GETFD) < 0 ? -1 : 0); }
