/* Makes the n-th file change of a program fail, when loaded with LD_PRELOAD. Tests of crash safety
 * use it.
 *
 * FAULTS_BELOW is the dir whose files count, except those below its "s". FAULTS_ORDERS is a file of
 * three 32-bit numbers shared between the test and the program: the kind of failure (0 none, 1 EIO,
 * 2 the program dies, 3 ENOSPC from then on), the change that fails, and the number of changes
 * since the test last wrote 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, ERROR, DEATH, FULL };

struct orders {
    int32_t kind, at, seen;
};

static struct orders *orders;
static const char *below;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_ORDERS");
    below = getenv("FAULTS_BELOW");
    if (!path || !below)
        return;
    int fd = ((int (*)(const char *, int, ...))real("open"))(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        orders = shared;
}

static int counts(const char *path) {
    size_t length;
    if (!orders || orders->kind == NONE || !path)
        return 0;
    length = strlen(below);
    return strncmp(path, below, length) == 0 && strncmp(path + length, "/s/", 3) != 0;
}

static int counts_fd(int fd) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (!orders || orders->kind == NONE)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return counts(path);
}

/* Returns 1 if this change must fail. */
static int fails(void) {
    int32_t seen = __atomic_add_fetch(&orders->seen, 1, __ATOMIC_SEQ_CST);
    int32_t at = orders->at;
    switch (orders->kind) {
    case ERROR:
        errno = EIO;
        return seen == at;
    case DEATH:
        if (seen == at)
            kill(getpid(), SIGKILL);
        return 0;
    case FULL:
        errno = ENOSPC;
        return seen >= at;
    }
    return 0;
}

#define CHANGE(type, name, parameters, arguments, condition)                                                                       \
    type name parameters {                                                                                                         \
        if ((condition) && fails())                                                                                                \
            return -1;                                                                                                             \
        return ((type(*) parameters)real(#name))arguments;                                                                         \
    }

CHANGE(ssize_t, write, (int fd, const void *bytes, size_t length), (fd, bytes, length), counts_fd(fd))
CHANGE(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at), counts_fd(fd))
CHANGE(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at), counts_fd(fd))
CHANGE(int, fsync, (int fd), (fd), counts_fd(fd))
CHANGE(int, fdatasync, (int fd), (fd), counts_fd(fd))
CHANGE(int, ftruncate, (int fd, off_t length), (fd, length), counts_fd(fd))
CHANGE(int, ftruncate64, (int fd, off64_t length), (fd, length), counts_fd(fd))
CHANGE(int, rename, (const char *from, const char *to), (from, to), counts(to))
CHANGE(int, unlink, (const char *path), (path), counts(path))

#define OPEN(name)                                                                                                                 \
    int name(const char *path, int flags, ...) {                                                                                   \
        va_list rest;                                                                                                              \
        mode_t mode;                                                                                                               \
        va_start(rest, flags);                                                                                                     \
        mode = va_arg(rest, mode_t);                                                                                               \
        va_end(rest);                                                                                                              \
        if ((flags & O_CREAT) && counts(path) && fails())                                                                          \
            return -1;                                                                                                             \
        return ((int (*)(const char *, int, ...))real(#name))(path, flags, mode);                                                  \
    }

OPEN(open)
OPEN(open64)
