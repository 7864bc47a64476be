/* A disk that fails, for one program: loaded before the C library, it stands between SQLite and the files of the store.
 *
 * FAILING_STORE  beginning of the paths of the files that it is about
 * FAILING_ERROR  the error number; EIO fails reads too
 * FAILING_AFTER  writes that succeed before
 * FAILING_UNTIL  once this file is there, the disk is mended
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long writes;

static int fails(int file, int is_write) {
    const char *store = getenv("FAILING_STORE"), *until = getenv("FAILING_UNTIL");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, store, strlen(store)) != 0) return 0;
    long after = atol(getenv("FAILING_AFTER"));
    long before = is_write ? atomic_fetch_add(&writes, 1) : atomic_load(&writes);
    if (before < after || access(until, F_OK) == 0) return 0;
    int error = atoi(getenv("FAILING_ERROR"));
    if (!is_write && error != EIO) return 0;
    errno = error;
    return 1;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITES(name) \
    ssize_t name(int file, const void *bytes, size_t count, off_t offset) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        return fails(file, 1) ? -1 : real(file, bytes, count, offset); \
    }
WRITES(pwrite)
WRITES(pwrite64)

#define READS(name) \
    ssize_t name(int file, void *bytes, size_t count, off_t offset) { \
        REAL(ssize_t, #name, int, void *, size_t, off_t); \
        return fails(file, 0) ? -1 : real(file, bytes, count, offset); \
    }
READS(pread)
READS(pread64)

#define SYNCS(name) \
    int name(int file) { \
        REAL(int, #name, int); \
        return fails(file, 1) ? -1 : real(file); \
    }
SYNCS(fsync)
SYNCS(fdatasync)
